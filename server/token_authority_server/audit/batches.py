"""Batches of records, and waking the calls that wait for them from the writer's thread."""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RecordBatch:
    """Records of one call."""

    bodies: Sequence[str]
    """Encoded by `record.body_of`."""
    waiting: "tuple[asyncio.AbstractEventLoop, asyncio.Future[bool]] | None"
    """The event loop and future of the waiting call, if any. The result: whether every sink
    persisted the records."""


def wake(batches: Sequence[RecordBatch], *, is_persisted: bool) -> None:
    """Resolves the futures of all waiting calls, with one callback per event loop."""
    waiting: dict[asyncio.AbstractEventLoop, list[asyncio.Future[bool]]] = {}
    for batch in batches:
        if batch.waiting:
            loop, future = batch.waiting
            waiting.setdefault(loop, []).append(future)
    for loop, futures in waiting.items():
        # A closed loop has no waiting calls.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_resolve, futures, is_persisted)


def _resolve(futures: "Sequence[asyncio.Future[bool]]", is_persisted: bool) -> None:
    for future in futures:
        # Its call may have been cancelled.
        if not future.done():
            future.set_result(is_persisted)
