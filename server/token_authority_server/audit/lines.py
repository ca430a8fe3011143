"""Reads files a line at a time, however large they are and whatever is in them."""

import json
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any, NamedTuple, cast

from token_authority_server.audit.record import MAX_RECORD_BYTES


class Line(NamedTuple):
    """A line of a file, with its line break if it has one."""

    path: Path
    number: int
    """From 1."""
    data: bytes
    """Of a line that is longer than any record, a part; the next ones have the same number."""


def read_lines(paths: Iterable[Path]) -> Generator[Line]:
    """Yields the lines of files, one file after the other.

    Raises:
        OSError: A file cannot be read.
    """
    for path in paths:
        number = 1
        with path.open("rb") as file:
            while data := file.readline(MAX_RECORD_BYTES):
                yield Line(path, number, data)
                number += data.endswith(b"\n")


def fields_of(data: bytes) -> dict[str, Any]:
    """Reads the names and values of a record; those of a line that is none are empty."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}
