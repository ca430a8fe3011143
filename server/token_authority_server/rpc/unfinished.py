"""Calls in flight, so that a stopping server refuses what outlasts its grace with a reason."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, ParamSpec, TypeVar

# Some rounds of the event loop, each of which begins one of the calls that have arrived.
_PAUSE_SECONDS: Final = 0.001

P = ParamSpec("P")
T = TypeVar("T")


class UnfinishedCalls:
    """The tasks of calls in flight."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._begun = 0
        self._ended = False

    def tracking(self, handler: "Callable[P, Awaitable[T]]") -> "Callable[P, Awaitable[T]]":
        """Wraps a handler so that its calls are tracked."""

        async def tracked(*args: P.args, **kwargs: P.kwargs) -> T:
            task = asyncio.current_task()
            assert task
            self._tasks.add(task)
            self._begun += 1
            try:
                return await handler(*args, **kwargs)
            finally:
                self._tasks.discard(task)

        return tracked

    async def idle(self, seconds: float) -> None:
        """Returns when no call is in flight and none has just begun, or after some seconds."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while loop.time() < deadline:
            begun = self._begun
            await asyncio.sleep(_PAUSE_SECONDS)
            if not self._tasks and begun == self._begun:
                return

    @property
    def have_ended(self) -> bool:
        """Whether `end` was called: there is no more time to wait for anything."""
        return self._ended

    def end(self) -> None:
        """Cancels every call in flight; their handlers then find `take_over` true."""
        self._ended = True
        for task in self._tasks:
            task.cancel()

    def take_over(self) -> bool:
        """Whether the current task was cancelled by `end`; if so, it may await again."""
        task = asyncio.current_task()
        if self._ended and task is not None:
            task.uncancel()
        return self._ended
