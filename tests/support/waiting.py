"""Polling for the effects of another thread or process."""

import asyncio
from collections.abc import Awaitable, Callable


async def until(condition: Callable[[], object], seconds: float = 10) -> None:
    """Waits until a condition is true.

    Raises:
        AssertionError: It was not so in time.
    """
    for _ in range(int(seconds * 50)):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"it did not happen within {seconds:g} s")


async def until_await(condition: Callable[[], Awaitable[object]], seconds: float = 10) -> None:
    """Waits until an awaitable condition is true."""
    for _ in range(int(seconds * 50)):
        if await condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"it did not happen within {seconds:g} s")
