"""Concurrency limits: calls in flight, per caller and in total."""

from collections.abc import Generator
from contextlib import contextmanager

from token_authority_server.errors import too_many_in_flight
from token_authority_server.limits.quota import Quota


class InFlight:
    """Counts the calls in flight in one process; for use in one event loop."""

    def __init__(self, max_total: int) -> None:
        self.max_total = max_total
        """The most calls in flight that are accepted."""
        self._total = 0
        self._by_caller: dict[str, int] = {}

    @property
    def total(self) -> int:
        """Number of calls in flight."""
        return self._total

    @contextmanager
    def enter(self, caller: str, quota: Quota) -> Generator[None]:
        """Counts a call while the block runs.

        Raises:
            Refusal: TOO_MANY_IN_FLIGHT: the limit of the caller or of the server is reached.
        """
        own = self._by_caller.get(caller, 0)
        if quota.max_in_flight is not None and own >= quota.max_in_flight:
            raise too_many_in_flight(caller, quota.max_in_flight, of_caller=True)
        if self._total >= self.max_total:
            raise too_many_in_flight(caller, self.max_total, of_caller=False)
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
