"""Bounds the calls that wait before their caller is known, and slows strangers that flood."""

import asyncio
import time
import types
from collections.abc import Callable, Coroutine, Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final, TypeVar

from token_authority_server.errors import credential_unverifiable

MAX_WAITING: Final = 16
"""Calls that may wait at once for the keys of an identity provider, one for each connection."""

_REFUSALS_PER_SECOND: Final = 500
"""Refusals of strangers that are answered at once."""
_DELAY_SECONDS: Final = 2.0
_MAX_DELAYED: Final = 2000
"""Refusals that may wait at once, each some 15 KB."""

T = TypeVar("T")


class Tarpit:
    """Delays refusals of strangers while there are many, so that their connections stall.

    A connection has a limited number of open calls: what waits here keeps it from sending more.
    """

    def __init__(
        self,
        *,
        per_second: int = _REFUSALS_PER_SECOND,
        delay_seconds: float = _DELAY_SECONDS,
        max_delayed: int = _MAX_DELAYED,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per_second = per_second
        self._delay_seconds = delay_seconds
        self._max_delayed = max_delayed
        self._clock = clock
        self._second = 0
        self._count = 0
        self._delayed = 0

    async def delay(self) -> None:
        """Waits before the refusal of a stranger, if there are many and there is room to wait."""
        second = int(self._clock())
        if second != self._second:
            self._second, self._count = second, 0
        self._count += 1
        if self._count <= self._per_second or self._delayed >= self._max_delayed:
            return
        self._delayed += 1
        try:
            await asyncio.sleep(self._delay_seconds)
        finally:
            self._delayed -= 1


class AuthenticationWaits:
    """Counts the calls whose authentication has to wait. For one event loop."""

    def __init__(self, max_waiting: int = MAX_WAITING) -> None:
        self._max_waiting = max_waiting
        self._peers: set[str] = set()

    async def run(self, authentication: Coroutine[Any, Any, T], peer: str) -> T:
        """Awaits an authentication; only if it has to wait, it needs a place.

        Args:
            authentication: What to await.
            peer: The connection.

        Raises:
            Refusal: CREDENTIAL_UNVERIFIABLE: another call of this connection waits, or too many do.
        """
        return await _run(authentication, lambda: self._place(peer))

    @contextmanager
    def _place(self, peer: str) -> Generator[None]:
        if peer in self._peers or len(self._peers) >= self._max_waiting:
            raise credential_unverifiable()
        self._peers.add(peer)
        try:
            yield
        finally:
            self._peers.remove(peer)


@types.coroutine
def _run(
    coroutine: Coroutine[Any, Any, T], waiting: Callable[[], AbstractContextManager[None]]
) -> Generator[Any, Any, T]:
    """Drives a coroutine; from its first suspension on, inside `waiting`."""
    try:
        suspended_on = coroutine.send(None)
    except StopIteration as finished:
        result: T = finished.value
        return result
    try:
        with waiting():
            while True:
                try:
                    sent = yield suspended_on
                except BaseException as error:  # noqa: BLE001  # a cancellation is the coroutine's
                    suspended_on = coroutine.throw(error)
                else:
                    suspended_on = coroutine.send(sent)
    except StopIteration as finished:
        return finished.value  # type: ignore[no-any-return]
    finally:
        coroutine.close()
