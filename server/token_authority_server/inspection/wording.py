"""Formats times, durations and names for sentences. Pure."""

import time
from typing import Final

_UNITS: Final = (
    ("y", 365 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
)
# 9999-12-31 23:59:59.999, beyond which calendars and Timestamps end.
MAX_MS: Final = 253_402_300_799_999
_MAX_QUOTED: Final = 80
AS_LONG_AS_ALLOWED: Final = "as long as Agora allows"
"""The meaning of a lifetime of 0."""


def moment(ms: int) -> str:
    """Formats a point in time, e.g. "2023-11-14 22:13:20 UTC"."""
    if ms < 0:
        return "a time before 1970"
    if ms > MAX_MS:
        return "a time after the year 9999"
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(ms // 1000))


def span(ms: int) -> str:
    """Formats a duration with its two largest units, e.g. "1 h 30 m"."""
    words: list[str] = []
    left = abs(ms)
    if 0 < left < 1000:
        return f"{left} ms"
    for name, size in _UNITS:
        count, left = divmod(left, size)
        if count:
            words.append(f"{count} {name}")
        if len(words) == 2:
            break
    return " ".join(words) or "0 s"


def end(end_ms: int, issue_ms: int | None) -> str:
    """Formats an end, e.g. "until 2023-11-14 23:13:20 UTC (1 h after issue)"."""
    if issue_ms is None:
        return f"until {moment(end_ms)}"
    side = "after" if end_ms >= issue_ms else "before"
    return f"until {moment(end_ms)} ({span(end_ms - issue_ms)} {side} issue)"


def quoted(text: str) -> str:
    """Quotes text so that white space and invisible characters can be seen; cuts it at 80."""
    return repr(text) if len(text) <= _MAX_QUOTED else repr(text[:_MAX_QUOTED]) + "…"
