"""Reads the clock and the system's random number generator for tokens."""

import os
import time
from typing import Final

from token_authority_server.families import Moment

_RANDOM: Final[list[bytes]] = []


def read_moment() -> Moment:
    """Reads clock and entropy for one token."""
    random_bytes = _random_bytes()
    return Moment(
        now_ms=time.time_ns() // 1_000_000,
        salt=int.from_bytes(random_bytes[:4], "little"),
        random_bytes=random_bytes[4:],
    )


def _random_bytes() -> bytes:
    """Returns 20 random bytes from a batch: each read of the system's generator yields the GIL.

    They are not secret: each token contains its own.
    """
    try:
        return _RANDOM.pop()
    except IndexError:
        data = os.urandom(20 * 256)
        _RANDOM.extend(data[start : start + 20] for start in range(20, len(data), 20))
        return data[:20]
