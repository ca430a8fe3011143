"""Limits the log lines about calls that issue nothing."""

from collections.abc import Callable
from typing import Final

# Neither unauthenticated clients nor a caller in a loop may fill the disk with lines about calls
# that issue nothing.
_MAX_UNAUTHENTICATED_PER_SECOND: Final = 10
_MAX_LINES_PER_SECOND: Final = 20


class LineLimit:
    """Allows each caller, and all unauthenticated clients together, some lines per second.

    Args:
        on_suppressed: Called for each caller ("": unauthenticated clients) with the number of
            suppressed lines of a second, when the next line is due after it.
        clock: Seconds, monotonic.
    """

    def __init__(
        self, on_suppressed: Callable[[str, int], None], clock: Callable[[], float]
    ) -> None:
        self._on_suppressed = on_suppressed
        self._clock = clock
        self._second = 0
        self._counts: dict[str, int] = {}

    def allow(self, caller: str) -> bool:
        """Counts a line; returns whether it may be written."""
        second = int(self._clock())
        if second != self._second:
            counts, self._counts, self._second = self._counts, {}, second
            for name, count in counts.items():
                if count > _max_lines(name):
                    self._on_suppressed(name, count - _max_lines(name))
        count = self._counts[caller] = self._counts.get(caller, 0) + 1
        return count <= _max_lines(caller)


def _max_lines(caller: str) -> int:
    return _MAX_LINES_PER_SECOND if caller else _MAX_UNAUTHENTICATED_PER_SECOND
