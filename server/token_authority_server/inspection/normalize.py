"""Finds the token in what was pasted where a token should be. Pure.

Each step removes one kind of wrapping and records an issue. It costs a few passes over the text,
whatever the text is.
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from token_authority_server.inspection.findings import DecodeIssues, FindingReason

# Invisible characters that str.split does not split at.
_INVISIBLE: Final = ("\u200b", "\u200c", "\u200d", "\u2060", "\ufeff")
_QUOTES: Final = "\"'`\u2018\u2019\u201c\u201d\u00ab\u00bb\\"
# Percent-encoded forms of a token's characters and of what is usually around one. A table costs
# less than decoding, and no other character belongs to a token.
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
# Escapes of JSON writers.
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
# A token inside other text: zlib's header makes every 007 continue with "e".
_START: Final = re.compile(r"(?<![0-9A-Za-z])(?:007e|006[0-9A-Fa-f]{32}|NETLESS(?:SDK|ROOM|TASK)_)")
_SENTENCE_END: Final = ".:!?\u2026"
_STOP: Final = re.compile(r"[\"'`<>(){}\[\],;&|\\]")


# Agora's dynamic keys: version, HMAC-SHA1, App ID, time, salt, perhaps uid and end; 005 is base64
# of a service type (1 to 4) and the signature (AgoraIO/Tools, DynamicKey3.py to DynamicKey5.py).
_DYNAMIC_KEY: Final = re.compile(
    r"(00[2-6])?[0-9A-Fa-f]{40}[0-9A-Za-z]{32}[0-9]{10}[0-9A-Fa-f]{8}[0-9]{0,20}"
)
_DYNAMIC_KEY_005: Final = re.compile(r"005(AQ|Ag|Aw|BA)Ao[A-Za-z0-9+/]{60,}={0,2}")
# Version, App ID, end, MD5 (AgoraIO/Tools, SignalingToken.py).
_SIGNALING_KEY: Final = re.compile(r"1:[0-9A-Fa-f]{32}:[0-9]{1,10}:[0-9A-Fa-f]{32}")
# No real token is longer than some thousand characters, and nobody pastes more than a few.
_MAX_TOKENS: Final = 10
_MAX_PASTED: Final = 4096


class Normalized(NamedTuple):
    """The token without its wrapping."""

    token: str
    with_plus: str = ""
    """The same with `+` in place of spaces; "" if there were none."""
    first: str = ""
    """The text before the first white space; "" if there is none."""


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


def retired_format(text: str) -> str:
    """Names the retired format that a text has; "" for any other text."""
    if _SIGNALING_KEY.fullmatch(text):
        return "signaling key"
    if _DYNAMIC_KEY_005.fullmatch(text):
        return "dynamic key (version 005)"
    if match := _DYNAMIC_KEY.fullmatch(text):
        return f"dynamic key (version {match[1]})" if match[1] else "dynamic key"
    return ""


def pasted_tokens(text: str) -> list[str]:
    """Returns the different tokens in a text, up to 10, each with nothing around it."""
    for escape, character in _ESCAPES.items():
        text = text.replace(escape, character)
    tokens: list[str] = []
    at = 0
    while len(tokens) < _MAX_TOKENS and (found := _START.search(text, at)):
        rest = text[found.start() : found.start() + _MAX_PASTED]
        token = rest.split(None, 1)[0]
        stop = _STOP.search(token)
        token = token[: stop.start() if stop else None].rstrip(_SENTENCE_END)
        if token not in tokens:
            tokens.append(token)
        at = found.start() + max(len(token), 3)
    return tokens


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
    """Removes quotes and white space from both ends."""
    stripped = text.strip()
    bare = stripped.strip(_QUOTES)
    inner = bare.strip()
    if bare != stripped:
        issues[FindingReason.QUOTED] = ""
    if stripped != text or inner != bare:
        issues[FindingReason.WHITESPACE] = ""
    return inner


def _alone(text: str, issues: DecodeIssues) -> str:
    """Extracts the token from other text, e.g. `Authorization: Bearer …` or JSON."""
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
