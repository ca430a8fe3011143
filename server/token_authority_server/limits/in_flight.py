"""How many calls are under way: of one caller, and in all."""

from collections.abc import Generator
from contextlib import contextmanager

from token_authority_server.errors import too_many_in_flight
from token_authority_server.limits.quota import Quota


class InFlight:
    """Plain counters of one process, for one event loop."""

    def __init__(self, max_total: int) -> None:
        self._max_total = max_total
        self._total = 0
        self._by_caller: dict[str, int] = {}

    @property
    def total(self) -> int:
        """Calls under way."""
        return self._total

    @contextmanager
    def enter(self, caller: str, quota: Quota) -> Generator[None]:
        """Counts a call while the block runs, however it ends.

        Raises:
            Refusal: TOO_MANY_IN_FLIGHT, of the caller or in all.
        """
        own = self._by_caller.get(caller, 0)
        if quota.max_in_flight is not None and own >= quota.max_in_flight:
            raise too_many_in_flight(caller, quota.max_in_flight, of_caller=True)
        if self._total >= self._max_total:
            raise too_many_in_flight(caller, self._max_total, of_caller=False)
        self._total += 1
        self._by_caller[caller] = own + 1
        try:
            yield
        finally:
            self._total -= 1
            if self._by_caller[caller] == 1:
                del self._by_caller[caller]
            else:
                self._by_caller[caller] -= 1
