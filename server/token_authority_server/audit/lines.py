"""Reads files line by line, whatever their size and content."""

import json
from collections.abc import Generator, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

from token_authority_server.audit.record import MAX_RECORD_BYTES

# A day later, the year still has four digits.
_LAST_TIME: Final = datetime(9998, 12, 31, tzinfo=UTC)


class Line(NamedTuple):
    """A line of a file, including its line break if there is one."""

    path: Path
    number: int
    """From 1."""
    data: bytes
    """Of a line longer than any record: a part. The next parts have the same number."""


def read_lines(paths: Iterable[Path]) -> Generator[Line]:
    """Yields the lines of all files in order.

    Raises:
        OSError: A file cannot be read; `filename` is its name.
    """
    for path in paths:
        number = 1
        try:
            with path.open("rb") as file:
                while data := file.readline(MAX_RECORD_BYTES):
                    yield Line(path, number, data)
                    number += data.endswith(b"\n")
        except OSError as error:
            # Only open() sets it; a failing disk is noticed by a read.
            error.filename = str(path)
            raise


def fields_of(data: bytes) -> dict[str, Any]:
    """Parses the fields of a record; returns {} for a line that is not a JSON object."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def utc(value: object) -> datetime:
    """Parses a time of a record; one without a zone is in UTC.

    Raises:
        ValueError: It is not RFC 3339, or not from year 1 to 9998 in UTC.
    """
    time = datetime.fromisoformat(str(value))
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    try:
        time = time.astimezone(UTC)
    except OverflowError:
        raise ValueError("the time is out of range") from None
    if time > _LAST_TIME:
        raise ValueError("the time is out of range")
    return time
