"""Bounds the calls that wait for authentication, and slows floods of refused calls."""

import asyncio
import math
import time
import types
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from token_authority_server.errors import credential_unverifiable

MAX_WAITING: Final = 16
"""Calls that may wait at once for the keys of an identity provider, one for each connection."""

_UNAUTHENTICATED_PER_SECOND: Final = 500
_REFUSALS_PER_SECOND: Final = 1000
"""Refusals per second of unauthenticated clients together, and of each caller; each costs 0.2 to
0.3 ms of CPU."""
_BURST: Final = 50
"""Refusals that are answered at once before the pace counts."""
_MAX_DELAYED: Final = 2000
"""Refusals that may wait at once, each some 15 KB. The last of them waits four seconds."""

T = TypeVar("T")


class Tarpit:
    """Answers refusals at an even pace while there are many, so that their connections stall.

    A connection has a limited number of open calls: what waits here keeps it from sending more.
    If many were released at once, other calls would wait for all of them.

    Args:
        per_second: The pace.
        burst: How many are not delayed after a quiet time.
        max_delayed: How many may wait at once; further ones are not delayed.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        *,
        per_second: float = _UNAUTHENTICATED_PER_SECOND,
        burst: int = _BURST,
        max_delayed: int = _MAX_DELAYED,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._interval = 1 / per_second
        self._burst_seconds = burst * self._interval
        self._max_delayed = max_delayed
        self._clock = clock
        self._next = -math.inf
        self._delayed = 0

    @classmethod
    def of(cls, caller: str) -> "Tarpit":
        """Returns the pace of refusals of a caller; "": of unauthenticated clients."""
        return cls(per_second=_REFUSALS_PER_SECOND if caller else _UNAUTHENTICATED_PER_SECOND)

    async def delay(self) -> None:
        """Waits before a refusal, if there are many and there is room to wait."""
        now = self._clock()
        if self._delayed >= self._max_delayed:
            return
        self._next = max(self._next, now - self._burst_seconds) + self._interval
        if self._next <= now:
            return
        self._delayed += 1
        try:
            await asyncio.sleep(self._next - now)
        finally:
            self._delayed -= 1


class AuthenticationWaits:
    """Counts the calls whose authentication has to wait. For one event loop."""

    def __init__(self, max_waiting: int = MAX_WAITING) -> None:
        self._max_waiting = max_waiting
        self._peers: set[str] = set()

    @types.coroutine
    def run(self, authentication: Coroutine[Any, Any, T], peer: str) -> Generator[Any, Any, T]:
        """Awaits an authentication, which occupies a slot only if it has to wait.

        Args:
            authentication: What to await.
            peer: The connection.

        Raises:
            Refusal: CREDENTIAL_UNVERIFIABLE: another call of this connection waits, or too many do.
        """
        try:
            suspended_on = authentication.send(None)
        except StopIteration as finished:
            result: T = finished.value
            return result
        try:
            with self._place(peer):
                while True:
                    try:
                        sent = yield suspended_on
                    except BaseException as error:  # noqa: BLE001  # a cancellation is the coroutine's
                        suspended_on = authentication.throw(error)
                    else:
                        suspended_on = authentication.send(sent)
        except StopIteration as finished:
            return finished.value  # type: ignore[no-any-return]
        finally:
            authentication.close()

    @contextmanager
    def _place(self, peer: str) -> Generator[None]:
        if peer in self._peers or len(self._peers) >= self._max_waiting:
            raise credential_unverifiable()
        self._peers.add(peer)
        try:
            yield
        finally:
            self._peers.remove(peer)
