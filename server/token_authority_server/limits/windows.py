"""Sliding window counters: the arithmetic, and counters in memory.

A rate has two counters: tokens of the present window and of the one before. The earlier one counts
in proportion to how much of it still lies within one window's length of now. It takes two numbers
for a rate, however large; a fixed window would let twice the amount through in one instant at its
edge, and a moving window keeps an entry for every call.

`limits` has this algorithm, and in Redis we use it (its scripts need one clock, Redis's). Its
counters in memory take 40 to 60 µs and start a thread or a task for nearly every call; those below
take a tenth, need neither, and take their clock as an argument.
"""

import math
from collections.abc import Callable
from typing import Protocol

from token_authority_server.limits.quota import Rate


class Windows(Protocol):
    """Counters by key, as `limits` names their methods. A key has always the same `expiry`."""

    async def get_sliding_window(self, key: str, expiry: int, /) -> tuple[int, float, int, float]:
        """Returns the tokens of the earlier window and the seconds until none of them counts.

        Then the tokens of the present window and the seconds until none of those counts, which
        is one window's length after it ends.
        """
        ...

    async def acquire_sliding_window_entry(
        self, key: str, limit: int, expiry: int, amount: int = 1, /
    ) -> bool:
        """Counts `amount` tokens if they stay within `limit`, in one step; else counts nothing."""
        ...


class MemoryWindows:
    """Counters of this process.

    Nothing here ever suspends, so what one task does between two awaits of its own is one step for
    all others. There are as many keys as callers have rates; none is removed.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._counts: dict[str, tuple[float, int, int]] = {}
        """Number of the window, tokens of the one before, tokens of this one."""

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
    """Returns how long to wait until a rate has room for tokens, `rate.amount` at most; 0: it has.

    It holds if nobody else takes tokens meanwhile. Rounded up to milliseconds, with two to spare:
    Redis counts in milliseconds, and a fraction of a token is forgiven, but not at its very edge.
    """
    earlier, earlier_left, present, present_left = window
    room = rate.amount - present - tokens
    if math.floor(earlier * earlier_left / rate.seconds) <= room:
        return 0
    if room >= 0:
        wait = earlier_left - (room + 1) * rate.seconds / earlier
    else:
        # Only when this window has become the earlier one and has faded enough.
        faded = rate.seconds - (rate.amount - tokens + 1) * rate.seconds / present
        wait = present_left - rate.seconds + max(0.0, faded)
    return (math.ceil(max(0.0, wait) * 1000) + 2) / 1000
