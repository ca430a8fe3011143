"""Parses and formats durations, times and integers."""

import argparse
import re
import sys
from datetime import UTC, datetime, timedelta
from typing import Final

_PARTS: Final = re.compile(r"([0-9]+)(ms|s|m|h|d)")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS: Final = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}


def duration(text: str) -> timedelta:
    """Parses "90s", "1h30m", "250ms", "7d"."""
    if not re.fullmatch(rf"({_PARTS.pattern})+", text):
        raise argparse.ArgumentTypeError(f"{text!r}: write numbers with units, like 90s or 1h30m")
    try:
        return sum(
            (int(number) * _UNITS[unit] for number, unit in _PARTS.findall(text)), timedelta()
        )
    except OverflowError:
        raise argparse.ArgumentTypeError(f"{text!r} is too long") from None


def moment(text: str) -> datetime:
    """Parses an ISO 8601 time with a time zone."""
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        value = None
    if value is None or value.tzinfo is None:
        raise argparse.ArgumentTypeError(
            f"{text!r}: write a time with its zone, like 2030-01-31T18:00:00Z"
        )
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise argparse.ArgumentTypeError(f"{text!r} is not from year 1 to 9999 in UTC") from None


def piped_text() -> str:
    """Reads standard input; bytes that are not UTF-8 become replacement characters."""
    return sys.stdin.buffer.read().decode("utf-8", "replace")


def from_ms(ms: int) -> datetime:
    """Converts milliseconds since 1970, exactly."""
    return _EPOCH + timedelta(milliseconds=ms)


def now_ms() -> int:
    """Returns the time in milliseconds since 1970."""
    return int(datetime.now(UTC).timestamp() * 1000)


def integer(text: str) -> int:
    """Parses decimal digits; int() would accept 1_000 and digits of other scripts."""
    if not re.fullmatch(r"-?[0-9]{1,30}", text):
        raise argparse.ArgumentTypeError(f"{text!r}: write an integer")
    return int(text)


def in_words(span: timedelta) -> str:
    """Formats a duration with its two largest units: "1 h 30 m"."""
    milliseconds = span // _UNITS["ms"]
    words: list[str] = []
    for unit in ("d", "h", "m", "s", "ms"):
        count, milliseconds = divmod(milliseconds, _UNITS[unit] // _UNITS["ms"])
        if count:
            words.append(f"{count} {unit}")
    return " ".join(words[:2]) or "0 s"
