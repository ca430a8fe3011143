"""Waiting for what another thread or process will do."""

import asyncio
from collections.abc import Awaitable, Callable


async def until(condition: Callable[[], object], seconds: float = 10) -> None:
    """Waits until something is so.

    Raises:
        AssertionError: It was not so in time.
    """
    for _ in range(int(seconds * 50)):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"it did not happen within {seconds:g} s")


async def until_await(condition: Callable[[], Awaitable[object]], seconds: float = 10) -> None:
    """The same for what has to be asked for."""
    for _ in range(int(seconds * 50)):
        if await condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"it did not happen within {seconds:g} s")
