"""Sliding window counters for rate limits: the arithmetic, and counters in memory.

A rate has two counters: the tokens of the current window and of the previous one. The previous one
counts in proportion to how much of it lies within one window length of now. That takes two numbers
per rate, however large; a fixed window would admit twice the amount at its edge, and a moving
window stores an entry per call.

In Redis we use the implementation of `limits`. Its counters in memory take 40 to 60 µs and start a
thread or a task for nearly every call. Those below take a tenth of that, and their clock can be
replaced.
"""

import math
from collections.abc import Callable
from typing import Protocol

from token_authority_server.limits.quota import Rate


class Windows(Protocol):
    """Counters by key, with the method names of `limits`. A key always has the same `expiry`."""

    async def get_sliding_window(self, key: str, expiry: int, /) -> tuple[int, float, int, float]:
        """Returns the state of the previous window, then that of the current one.

        Each is the number of tokens and the seconds until they no longer count; tokens of the
        current window count until one window length after its end.
        """
        ...

    async def acquire_sliding_window_entry(
        self, key: str, limit: int, expiry: int, amount: int = 1, /
    ) -> bool:
        """Counts `amount` tokens if they stay within `limit`, in one step; else counts nothing."""
        ...


class MemoryWindows:
    """Counters of this process.

    No method suspends, so each call is atomic for other tasks. There is one key per rate of each
    caller; keys are never removed.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._counts: dict[str, tuple[float, int, int]] = {}
        """Number of the window, tokens of the previous window, tokens of this one."""

    async def get_sliding_window(self, key: str, expiry: int, /) -> tuple[int, float, int, float]:
        """See `Windows`."""
        _, earlier, earlier_left, present, present_left = self._window(key, expiry)
        return earlier, earlier_left, present, present_left

    async def acquire_sliding_window_entry(
        self, key: str, limit: int, expiry: int, amount: int = 1, /
    ) -> bool:
        """See `Windows`."""
        number, earlier, earlier_left, present, _ = self._window(key, expiry)
        if math.floor(earlier * earlier_left / expiry) + present + amount > limit:
            return False
        self._counts[key] = (number, earlier, present + amount)
        return True

    def _window(self, key: str, expiry: int) -> tuple[float, int, float, int, float]:
        number, elapsed = divmod(self._clock(), expiry)
        last, earlier, present = self._counts.get(key, (number, 0, 0))
        if last != number:
            earlier, present = (present if last == number - 1 else 0), 0
        return number, earlier, expiry - elapsed, present, 2 * expiry - elapsed


def seconds_until_room(rate: Rate, tokens: int, window: tuple[int, float, int, float]) -> float:
    """Returns the seconds until a rate has room for tokens, 0 if it has room now.

    Assumes that no other call is charged meanwhile. Rounded up to milliseconds, plus two: Redis
    counts in milliseconds, and there is room just after the computed time, not yet at it.

    Args:
        rate: The rate.
        tokens: 1 to `rate.amount`.
        window: As `Windows.get_sliding_window` returns it.
    """
    earlier, earlier_left, present, present_left = window
    room = rate.amount - present - tokens
    if math.floor(earlier * earlier_left / rate.seconds) <= room:
        return 0
    if room >= 0:
        wait = earlier_left - (room + 1) * rate.seconds / earlier
    else:
        # Room appears when this window is the previous one and counts little enough.
        faded = rate.seconds - (rate.amount - tokens + 1) * rate.seconds / present
        wait = present_left - rate.seconds + max(0.0, faded)
    return (math.ceil(max(0.0, wait) * 1000) + 2) / 1000
