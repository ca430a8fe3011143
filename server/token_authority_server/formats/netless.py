"""Interactive Whiteboard ("netless") tokens: SDK, room and task. Pure.

A token is a prefix and the unpadded base64url of a query string; signed is not the query but the
JSON of its fields, so what is percent-encoded below and what is escaped there must agree to the
byte with JavaScript's `encodeURIComponent` and `JSON.stringify`, which Agora's servers use.
"""

import hmac
import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Final, Literal
from urllib.parse import quote

from token_authority_server.formats.packing import FormatError, utf8

NetlessKind = Literal["sdk", "room", "task"]

_PREFIXES: Final[Mapping[NetlessKind, str]] = {
    "sdk": "NETLESSSDK_",
    "room": "NETLESSROOM_",
    "task": "NETLESSTASK_",
}
# What encodeURIComponent leaves alone. Most values consist of nothing else, and testing for that
# is several times faster than quoting.
_UNRESERVED: Final = re.compile(r"[A-Za-z0-9\-_.!~*'()]*")
_MARKS: Final = "-_.!~*'()"
_json: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def build_netless_token(
    kind: NetlessKind,
    *,
    access_key: str,
    secret_key: str,
    content: Mapping[str, str],
    lifespan_ms: int,
    now_ms: int,
    nonce: str,
) -> str:
    """Builds a whiteboard token.

    Args:
        kind: What the token opens; only its prefix depends on it.
        access_key: The AK, written into the token.
        secret_key: The SK, which signs it.
        content: The fields to carry, usually "role" ("0" admin, "1" writer, "2" reader) and
            "uuid" (of the room or task), exactly as given: an absent key stays absent, an empty
            value stays empty. "ak", "nonce" and, with a lifespan, "expireAt" are overwritten.
        lifespan_ms: Milliseconds to live; 0 or less means for ever, as Agora has it.
        now_ms: Milliseconds since 1970.
        nonce: Any text; Agora's libraries use a UUID.

    Raises:
        FormatError: A key or value is not text or has no UTF-8 encoding, or the content has a field
            "sig": the signature takes that place, and the token would not verify.
    """
    if "sig" in content:
        raise FormatError("content must not have a field sig")
    fields = {**content, "ak": access_key, "nonce": nonce}
    if lifespan_ms > 0:
        fields["expireAt"] = str(now_ms + lifespan_ms)
    try:
        signed = utf8("content", _json({name: fields[name] for name in _in_order(fields)}))
        fields["sig"] = hmac.digest(utf8("secret_key", secret_key), signed, "sha256").hex()
        query = "&".join(
            [f"{_component(name)}={_component(fields[name])}" for name in _in_order(fields)]
        )
    except (AttributeError, TypeError):
        # A number, say: signed as a number, it would not verify.
        raise FormatError("content must map text to text") from None
    return _PREFIXES[kind] + urlsafe_b64encode(query.encode()).rstrip(b"=").decode()


def _in_order(fields: Mapping[str, str]) -> list[str]:
    """Sorts names as JavaScript does: by UTF-16 code unit, not by code point."""
    if all(name.isascii() for name in fields):
        return sorted(fields)
    return sorted(fields, key=lambda name: name.encode("utf-16-be", "surrogatepass"))


def _component(text: str) -> str:
    """Percent-encodes as encodeURIComponent does."""
    return text if _UNRESERVED.fullmatch(text) else quote(text, safe=_MARKS)
