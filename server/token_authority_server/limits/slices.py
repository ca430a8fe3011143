"""Time slices: long work on the event loop yields to other calls every millisecond."""

import asyncio
import time
from collections.abc import AsyncIterator, Generator, Sequence
from typing import Final, TypeVar

_SLICE_NS: Final = 1_000_000
"""How long work may hold the event loop before other calls get their turn."""

_ROUNDS: Final = 12
"""How many rounds of the event loop others get after a slice: as many as a call needs. Where
nobody waits, they take some 0.1 ms."""

_PAUSE_SECONDS: Final = 0.001
"""The least time that a turn leaves to other calls: some three times what receiving and answering
one small call costs, which is not part of its turn."""

T = TypeVar("T")


async def in_slices(items: Sequence[T]) -> AsyncIterator[T]:
    """Yields the items, and yields the event loop whenever a slice of time is used up."""
    since_ns = time.perf_counter_ns()
    for item in items:
        yield item
        if time.perf_counter_ns() - since_ns > _SLICE_NS:
            for _ in range(_ROUNDS):
                await asyncio.sleep(0)
            since_ns = time.perf_counter_ns()


class Turns:
    """Lets long work take turns, in slices, and gives other calls as much time as it used.

    To yield the event loop once is not enough: another call needs a dozen of its rounds.
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._free_at = 0.0

    async def wait(self) -> None:
        """Waits for a turn of work that takes almost nothing."""
        async with self._lock:
            await self._until_free()
            self._free_at = time.perf_counter() + _PAUSE_SECONDS

    async def run(self, steps: Generator[None, None, T]) -> T:
        """Runs a generator to its end, and returns its result."""
        async with self._lock:
            while True:
                await self._until_free()
                began = time.perf_counter()
                try:
                    _run_slice(steps)
                except StopIteration as finished:
                    result: T = finished.value
                    return result
                finally:
                    now = time.perf_counter()
                    self._free_at = now + max(now - began, _PAUSE_SECONDS)

    async def _until_free(self) -> None:
        wait = self._free_at - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)


def _run_slice(steps: Generator[None, None, object]) -> None:
    since_ns = time.perf_counter_ns()
    while time.perf_counter_ns() - since_ns < _SLICE_NS:
        next(steps)
