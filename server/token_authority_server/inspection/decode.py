"""Reads any token, from whatever was pasted where one should be. Pure and total.

Nothing raises, whatever the text; time and memory are bounded. What cannot be read is marked, and
what was read before stays.
"""

from collections.abc import Callable, Mapping
from typing import Final

from token_authority_server.inspection.decode_006 import decode_006
from token_authority_server.inspection.decode_007 import decode_007
from token_authority_server.inspection.decode_netless import decode_netless
from token_authority_server.inspection.decoded import Decoded
from token_authority_server.inspection.findings import DecodeIssues, FindingReason
from token_authority_server.inspection.normalize import PREFIXES, normalize

MAX_TEXT: Final = 65536
# Where spaces may have been plus signs, a token is read twice; none that long is real.
_MAX_READ_TWICE: Final = 4096

_READERS: Final[Mapping[str, Callable[[str, DecodeIssues], Decoded]]] = {
    "006": decode_006,
    "007": decode_007,
    "NET": decode_netless,
}


def decode(text: str) -> Decoded:
    """Reads any text."""
    if len(text) > MAX_TEXT:
        return Decoded({FindingReason.TOO_LARGE: f"is longer than {MAX_TEXT} characters"})
    issues: DecodeIssues = {}
    normalized = normalize(text, issues)
    decoded = _read(normalized.token, dict(issues))
    if decoded.sealed is None and 0 < len(normalized.with_plus) <= _MAX_READ_TWICE:
        spaced = {**issues, FindingReason.SPACES_FOR_PLUS: ""}
        del spaced[FindingReason.WHITESPACE]
        again = _read(normalized.with_plus, spaced)
        if again.sealed is not None:
            return again
    if decoded.sealed is None and normalized.first:
        # What stands behind it was none of it: a name, or another token.
        first = _read(normalized.first, {**issues, FindingReason.SURROUNDED: ""})
        if first.sealed is not None:
            return first
    return decoded


def _read(token: str, issues: DecodeIssues) -> Decoded:
    if not token.startswith(PREFIXES):
        return Decoded({**issues, FindingReason.NOT_A_TOKEN: ""})
    return _READERS[token[:3]](token, issues)
