"""The table of languages: one row per language, between markers in Markdown files."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

PASSED: Final = "✓"
FAILED: Final = "✗"
ABSENT: Final = "-"
COLUMNS: Final = (
    "language",
    "toolchain",
    "generated",
    "built",
    "TLS",
    "issued",
    "session",
    "error read",
    "retried",
    "checked locally",
    "verified by",
)
_MARKERS: Final = ("<!-- make polyglot writes this table -->", "<!-- end of the table -->")
_TABLE: Final = re.compile("{}\n(.*?){}".format(*map(re.escape, _MARKERS)), re.DOTALL)

Row = dict[str, str]
"""Cells by column."""
Table = dict[str, Row]
"""Rows by language."""


def read(path: Path) -> Table:
    """Returns the table in a file, or an empty one.

    Raises:
        ValueError: A row does not have the current columns.
    """
    found = _TABLE.search(path.read_text())
    lines = found[1].strip().splitlines()[2:] if found else []
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    for row in rows:
        if len(row) != len(COLUMNS):
            raise ValueError(f"{path}: a row with {len(row)} cells: {row}")
    named = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
    return {row["language"].strip("[").partition("]")[0]: row for row in named}


def write(path: Path, table: Mapping[str, Row]) -> None:
    """Replaces the table in a file; each language links to its folder.

    Raises:
        ValueError: The file has no markers.
    """
    rows = [list(COLUMNS), ["---"] * len(COLUMNS)]
    for language, row in sorted(table.items()):
        rows.append([f"[{language}]({language})", *[row[name] for name in COLUMNS[1:]]])
    lines = "".join(f"| {' | '.join(cells)} |\n" for cells in rows)
    text, count = _TABLE.subn(
        lambda _: f"{_MARKERS[0]}\n{lines}{_MARKERS[1]}", path.read_text(), count=1
    )
    if not count:
        raise ValueError(f"{path} has no {_MARKERS[0]}")
    path.write_text(text)


def regressions(before: Mapping[str, Row], after: Mapping[str, Row]) -> list[str]:
    """Returns a line for each cell that passed before and does not now."""
    return [
        f"{language}: {column} was {row[column]!r} and is {after.get(language, {}).get(column)!r}"
        for language, row in before.items()
        for column in COLUMNS
        if row[column].startswith(PASSED)
        and not after.get(language, {}).get(column, "").startswith(PASSED)
    ]
