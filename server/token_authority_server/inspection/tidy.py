"""Finds the token in what was pasted where a token should be. Pure.

Each step takes one wrapping away and marks it. Whatever the text, it costs a few passes over it.
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from token_authority_server.inspection.reasons import Marks, Reason

# What str.split does not know, though it cannot be seen.
_INVISIBLE: Final = ("\u200b", "\u200c", "\u200d", "\u2060", "\ufeff")
_QUOTES: Final = "\"'`\u2018\u2019\u201c\u201d\u00ab\u00bb\\"
# What percent-encoding makes of a token's own characters and of what stands around one. A table
# costs less than decoding, and nothing else belongs to a token.
_PERCENT: Final[Mapping[str, str]] = {
    "%2B": "+",
    "%2b": "+",
    "%2F": "/",
    "%2f": "/",
    "%3D": "=",
    "%3d": "=",
    "%2D": "-",
    "%2d": "-",
    "%5F": "_",
    "%5f": "_",
    "%20": " ",
    "%0A": "\n",
    "%0a": "\n",
    "%0D": "\r",
    "%0d": "\r",
    "%22": '"',
    "%27": "'",
}
# What JSON writers make of it.
_ESCAPES: Final[Mapping[str, str]] = {
    "\\/": "/",
    "\\u002b": "+",
    "\\u002B": "+",
    "\\u002f": "/",
    "\\u002F": "/",
    "\\u003d": "=",
    "\\u003D": "=",
    "\\n": "\n",
    "\\r": "\r",
}
PREFIXES: Final = ("006", "007", "NETLESSSDK_", "NETLESSROOM_", "NETLESSTASK_")
# A token inside other text: zlib's header makes every 007 go on with "e".
_START: Final = re.compile(r"(?<![0-9A-Za-z])(?:007e|006[0-9A-Fa-f]{32}|NETLESS(?:SDK|ROOM|TASK)_)")
_SENTENCE_END: Final = ".:!?\u2026"
_STOP: Final = re.compile(r"[\"'`<>(){}\[\],;&|\\]")


class Tidied(NamedTuple):
    """The token proper."""

    token: str
    with_plus: str = ""
    """The same with `+` where there were spaces; "" where there were none."""
    first: str = ""
    """What stands before the first white space; "" where there is none."""


def tidy(text: str, marks: Marks) -> Tidied:
    """Takes away what does not belong to the token, and marks it."""
    for invisible in _INVISIBLE:
        text = text.replace(invisible, " ")
    text = _replaced(text, "%", {"%25": "%"}, marks, Reason.URL_ENCODED)
    text = _replaced(text, "%", _PERCENT, marks, Reason.URL_ENCODED)
    text = _replaced(text, "\\", _ESCAPES, marks, Reason.QUOTED)
    text = _bare(text, marks)
    text = _bare(_alone(text, marks), marks)
    words = text.split()
    if len(words) < 2:
        return Tidied(text)
    marks[Reason.WHITESPACE] = ""
    # Line breaks come from wrapping; a space may have been a plus.
    with_plus = "".join(text.replace(" ", "+").split()) if " " in text else ""
    return Tidied("".join(words), with_plus, words[0])


def _replaced(text: str, sign: str, table: Mapping[str, str], marks: Marks, reason: Reason) -> str:
    if sign not in text:
        return text
    replaced = text
    for escape, character in table.items():
        replaced = replaced.replace(escape, character)
    if replaced != text:
        marks[reason] = ""
    return replaced


def _bare(text: str, marks: Marks) -> str:
    """Takes quotes and white space off both ends."""
    stripped = text.strip()
    bare = stripped.strip(_QUOTES)
    inner = bare.strip()
    if bare != stripped:
        marks[Reason.QUOTED] = ""
    if stripped != text or inner != bare:
        marks[Reason.WHITESPACE] = ""
    return inner


def _alone(text: str, marks: Marks) -> str:
    """Cuts the token out of other text, e.g. `Authorization: Bearer …` or a piece of JSON."""
    start = 0
    if not text.startswith(PREFIXES):
        found = _START.search(text)
        if found is None:
            return text
        start = found.start()
    stop = _STOP.search(text, start)
    alone = text[start : stop.start() if stop else None].rstrip(_SENTENCE_END)
    if alone != text:
        marks[Reason.SURROUNDED] = ""
    return alone
