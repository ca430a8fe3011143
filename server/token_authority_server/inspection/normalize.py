"""Finds the token in what was pasted where a token should be. Pure.

Each step removes one kind of wrapping and records an issue. It costs a few passes over the text,
whatever the text is.
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from token_authority_server.inspection.findings import DecodeIssues, FindingReason

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


class Normalized(NamedTuple):
    """The token proper."""

    token: str
    with_plus: str = ""
    """The same with `+` where there were spaces; "" where there were none."""
    first: str = ""
    """What stands before the first white space; "" where there is none."""


def normalize(text: str, issues: DecodeIssues) -> Normalized:
    """Removes everything that is not the token, and records an issue for each kind."""
    for invisible in _INVISIBLE:
        text = text.replace(invisible, " ")
    text = _replaced(text, "%", {"%25": "%"}, issues, FindingReason.URL_ENCODED)
    text = _replaced(text, "%", _PERCENT, issues, FindingReason.URL_ENCODED)
    text = _replaced(text, "\\", _ESCAPES, issues, FindingReason.QUOTED)
    text = _bare(text, issues)
    text = _bare(_alone(text, issues), issues)
    words = text.split()
    if len(words) < 2:
        return Normalized(text)
    issues[FindingReason.WHITESPACE] = ""
    # Line breaks come from wrapping; a space may have been a plus.
    with_plus = "".join(text.replace(" ", "+").split()) if " " in text else ""
    return Normalized("".join(words), with_plus, words[0])


def _replaced(
    text: str, sign: str, table: Mapping[str, str], issues: DecodeIssues, reason: FindingReason
) -> str:
    if sign not in text:
        return text
    replaced = text
    for escape, character in table.items():
        replaced = replaced.replace(escape, character)
    if replaced != text:
        issues[reason] = ""
    return replaced


def _bare(text: str, issues: DecodeIssues) -> str:
    """Takes quotes and white space off both ends."""
    stripped = text.strip()
    bare = stripped.strip(_QUOTES)
    inner = bare.strip()
    if bare != stripped:
        issues[FindingReason.QUOTED] = ""
    if stripped != text or inner != bare:
        issues[FindingReason.WHITESPACE] = ""
    return inner


def _alone(text: str, issues: DecodeIssues) -> str:
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
        issues[FindingReason.SURROUNDED] = ""
    return alone
