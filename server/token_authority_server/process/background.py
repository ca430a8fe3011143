"""Runs blocking work in daemon threads, so that neither calls nor the end of the process wait."""

import asyncio
import contextlib
import gc
import sys
import threading
from collections.abc import Callable, Generator
from typing import Final, Generic, TypeVar

from token_authority_server.config.files import ReadProgress

_T = TypeVar("_T")

THREAD_NAME: Final = "configuration"
_SWITCH_SECONDS: Final = 0.0005
"""How long a thread may hold the GIL while the event loop wants it: 5 ms by default, which a
call waits for several times."""
_MAX_COLLECTED: Final = 10_000
"""Objects that a collection goes through in about a millisecond."""


class ReadError(Exception):
    """A file has not been read in time; the message names it."""


class Job(Generic[_T]):
    """A function that reads files, running in a daemon thread. Made on an event loop.

    A read from a hung mount cannot be interrupted: such a thread is left behind, and ends with the
    read or with the process.

    Args:
        function: What to run; marks the file that it is reading.
    """

    def __init__(self, function: Callable[[ReadProgress], _T]) -> None:
        self._progress = ReadProgress()
        self._loop = asyncio.get_running_loop()
        self._done: asyncio.Future[_T] = self._loop.create_future()
        self._thread = threading.Thread(
            target=self._run, args=(function,), name=THREAD_NAME, daemon=True
        )
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """Whether the thread still runs."""
        return self._thread.is_alive()

    async def result(self, patience_seconds: float) -> _T:
        """Waits for the result.

        Args:
            patience_seconds: How long reading one file may take.

        Raises:
            ReadError: A file took longer; the thread is left behind.
            Exception: As the function.
        """
        while True:
            done, _ = await asyncio.wait({self._done}, timeout=patience_seconds / 2)
            if done:
                return self._done.result()
            if path := self._progress.overdue(patience_seconds):
                self._done.cancel()
                raise ReadError(f"{path}: cannot be read: no answer for {patience_seconds:g} s")

    def _run(self, function: Callable[[ReadProgress], _T]) -> None:
        try:
            result = function(self._progress)
        except Exception as error:  # noqa: BLE001  # raised again by `result`
            self._deliver(lambda error=error: self._done.set_exception(error))  # type: ignore[misc]
        else:
            self._deliver(lambda: self._done.set_result(result))

    def _deliver(self, deliver: Callable[[], None]) -> None:
        # The loop is closed if the process is about to end.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(lambda: None if self._done.done() else deliver())


@contextlib.contextmanager
def yielding_to_calls() -> Generator[None]:
    """Makes other threads yield to the event loop quickly, and pauses the garbage collector.

    A collection that goes through a large configuration while it is built would delay every call,
    again and again.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        sys.setswitchinterval(before)


def freeze(new_objects: int) -> None:
    """Excludes all objects from later collections, which a large configuration would prolong.

    Garbage would be frozen too, and never freed: calls and a reload leave some 50 kB. It is
    collected first, unless there are so many new objects that calls would notice.

    Args:
        new_objects: How many a reload has made.
    """
    if new_objects <= _MAX_COLLECTED:
        gc.collect()
    gc.freeze()
