"""The records of calls, and how the writer's thread wakes the calls that wait for them."""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Batch:
    """The records of one call."""

    bodies: Sequence[str]
    """As `record.body_of` writes them."""
    waiting: "tuple[asyncio.AbstractEventLoop, asyncio.Future[bool]] | None"
    """Who waits, and in which event loop: the result is whether every sink kept them."""


def wake(batches: Sequence[Batch], *, is_kept: bool) -> None:
    """Tells all that wait, with one call into each event loop."""
    waiting: dict[asyncio.AbstractEventLoop, list[asyncio.Future[bool]]] = {}
    for batch in batches:
        if batch.waiting:
            loop, future = batch.waiting
            waiting.setdefault(loop, []).append(future)
    for loop, futures in waiting.items():
        # A loop that is closed has nobody who waits.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_resolve, futures, is_kept)


def _resolve(futures: "Sequence[asyncio.Future[bool]]", is_kept: bool) -> None:
    for future in futures:
        # A call that was cancelled waits no more.
        if not future.done():
            future.set_result(is_kept)
