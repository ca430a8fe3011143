"""Edits the text of a file of denials, so that its comments stay."""

import json
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Final

_HEADER: Final = "[[denials]]"


class NotEditable(Exception):
    """The denials are not written as tables of their own."""


def append(text: str, row: Mapping[str, str | list[str] | datetime | None]) -> str:
    """Returns a text with one more denial at its end.

    Args:
        text: The text of a file of denials.
        row: The keys and values of the new one; None: without the key.
    """
    lines = [f"{key} = {_value(value)}" for key, value in row.items() if value is not None]
    before = f"{text.rstrip()}\n\n" if text.strip() else ""
    return "\n".join([f"{before}{_HEADER}", *lines, ""])


def remove(text: str, indices: Collection[int]) -> str:
    """Returns a text without some denials, and without the comments directly above them.

    Args:
        text: The text of a file of denials.
        indices: The numbers of the denials, from 0.

    Raises:
        NotEditable: There are fewer tables than that.
    """
    if not indices:
        return text
    lines = text.splitlines(keepends=True)
    starts = [number for number, line in enumerate(lines) if _is_header(line)]
    if len(starts) <= max(indices):
        raise NotEditable
    starts = [_with_comments(lines, start) for start in starts]
    ends = [*starts[1:], len(lines)]
    gone = {number for index in indices for number in range(starts[index], ends[index])}
    return "".join(line for number, line in enumerate(lines) if number not in gone)


def _with_comments(lines: list[str], start: int) -> int:
    """Returns the first line of the comment directly above a line; the line itself without one."""
    while start and lines[start - 1].startswith("#"):
        start -= 1
    return start


def _is_header(line: str) -> bool:
    return line.partition("#")[0].replace(" ", "").replace("\t", "").strip() == _HEADER


def _value(value: str | list[str] | datetime) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    # JSON's texts and lists of texts are TOML's.
    return json.dumps(value, ensure_ascii=False)
