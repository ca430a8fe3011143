"""Decides how long calls wait for a server that has answered before and is gone."""

import time
from collections.abc import Callable
from typing import Final

PATIENCE_SECONDS: Final = 10.0
"""How long calls wait for a server that has gone: it is most likely being restarted."""


class Outage:
    """Remembers since when a server is gone. It has no lock: a race costs another wait at worst.

    A server that has never answered is not waited for: its address is more likely wrong.

    Args:
        clock: Reads seconds of a monotonic clock.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._has_answered = False
        self._since: float | None = None
        self.is_over = False
        """Whether the last call was answered."""

    def end(self) -> None:
        """Notes that the server has answered a call."""
        self._has_answered = self.is_over = True
        self._since = None

    def patience(self, began: float, seconds: float) -> float:
        """Returns how many seconds a call that found no server may wait for one; 0: none.

        Args:
            began: When the call began.
            seconds: How long it may take in all.
        """
        self.is_over = False
        if not self._has_answered:
            return 0.0
        if self._since is None:
            self._since = began
        end = min(self._since + PATIENCE_SECONDS, began + seconds)
        return max(0.0, end - self._clock())
