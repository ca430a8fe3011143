"""Texts of others on a terminal: escaped, cut and padded by the columns they take."""

import unicodedata
from typing import Final

CELL: Final = 40
"""Characters of a cell in a table."""


def visible(text: str) -> str:
    """Escapes characters that move the cursor, break the line or reverse the text."""
    return "".join([char if char.isprintable() else repr(char)[1:-1] for char in text])


def cut(text: str) -> str:
    """Escapes a text and cuts it to the width of a table's cell."""
    shown = visible(text)
    return shown if len(shown) <= CELL else f"{shown[: CELL - 1]}…"


def width_of(text: object) -> int:
    """Returns how many columns a text takes."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in str(text)
    )


def padded(text: object, width: int) -> str:
    """Fills a text with spaces up to a number of columns."""
    return f"{text}{' ' * (width - width_of(text))}"
