"""Decodes any token, from any pasted text. Pure and total.

No text raises; time and memory are bounded. What cannot be read is recorded, and the values before
it are kept.
"""

from collections.abc import Callable, Mapping
from typing import Final

from token_authority_server.inspection.decode_006 import decode_006
from token_authority_server.inspection.decode_007 import decode_007
from token_authority_server.inspection.decode_netless import decode_netless
from token_authority_server.inspection.decoded import Decoded
from token_authority_server.inspection.findings import DecodeIssues, FindingReason
from token_authority_server.inspection.normalize import (
    PREFIXES,
    normalize,
    pasted_tokens,
    retired_format,
)

MAX_TEXT: Final = 65536
# Where spaces may have been plus signs, a token is read twice; no real token is longer.
_MAX_READ_TWICE: Final = 4096

_READERS: Final[Mapping[str, Callable[[str, DecodeIssues], Decoded]]] = {
    "006": decode_006,
    "007": decode_007,
    "NET": decode_netless,
}


def decode(text: str) -> Decoded:
    """Decodes the token in a text."""
    if len(text) > MAX_TEXT:
        return Decoded({FindingReason.TOO_LARGE: f"is longer than {MAX_TEXT} characters"})
    issues: DecodeIssues = {}
    normalized = normalize(text, issues)
    if name := retired_format(normalized.token):
        return Decoded({**issues, FindingReason.RETIRED_FORMAT: name})
    decoded = _read(normalized.token, dict(issues))
    if decoded.sealed is None and 0 < len(normalized.with_plus) <= _MAX_READ_TWICE:
        spaced = {**issues, FindingReason.SPACES_FOR_PLUS: ""}
        del spaced[FindingReason.WHITESPACE]
        again = _read(normalized.with_plus, spaced)
        if again.sealed is not None:
            return again
    if decoded.sealed is None and normalized.first:
        # The text after it is not part of it: a name, or another token.
        first = _read(normalized.first, {**issues, FindingReason.SURROUNDED: ""})
        if first.sealed is not None:
            return first
    return decoded


def decode_several(text: str) -> list[Decoded]:
    """Decodes the different tokens in a text, in their order; [] unless there are several."""
    if len(text) > MAX_TEXT:
        return []
    tokens = pasted_tokens(text)
    if len(tokens) < 2:
        return []
    decoded = [_read(token, {FindingReason.SURROUNDED: ""}) for token in tokens]
    readable = [token for token in decoded if token.sealed is not None]
    return readable if len(readable) > 1 else []


def _read(token: str, issues: DecodeIssues) -> Decoded:
    if not token.startswith(PREFIXES):
        return Decoded({**issues, FindingReason.NOT_A_TOKEN: ""})
    return _READERS[token[:3]](token, issues)
