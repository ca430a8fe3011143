"""Interactive Whiteboard ("netless") tokens: SDK, room and task. Pure.

A token is a prefix and the unpadded base64url of a query string. The signature covers the JSON of
its fields, not the query. Percent-encoding and JSON escapes must equal those of JavaScript's
`encodeURIComponent` and `JSON.stringify` to the byte, because Agora's servers use these.
"""

import hmac
import json
import string
from binascii import b2a_base64
from bisect import insort
from collections.abc import Iterable, Mapping
from typing import Final, Literal
from urllib.parse import quote

from token_authority_server.formats.packing import FormatError

NetlessType = Literal["sdk", "room", "task"]

_PREFIXES: Final[Mapping[NetlessType, str]] = {
    "sdk": "NETLESSSDK_",
    "room": "NETLESSROOM_",
    "task": "NETLESSTASK_",
}
_URLSAFE: Final = bytes.maketrans(b"+/", b"-_")
# Characters that encodeURIComponent does not encode.
_MARKS: Final = "-_.!~*'()"
_UNRESERVED: Final = (string.ascii_letters + string.digits + _MARKS).encode()


def build_netless_token(
    token_type: NetlessType,
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
        token_type: Selects the token's prefix.
        access_key: The AK, which the token contains.
        secret_key: The SK, which signs it.
        content: The fields to carry, usually "role" ("0" admin, "1" writer, "2" reader) and
            "uuid" (of the room or task). Written as given; absent keys stay absent. "ak", "nonce"
            and, with a lifespan, "expireAt" are overwritten.
        lifespan_ms: The lifetime in milliseconds; 0 or less: the token never expires.
        now_ms: Milliseconds since 1970.
        nonce: Any text; Agora's libraries use a UUID.

    Raises:
        FormatError: A key or value is not text or has no UTF-8 encoding, or the content has the
            field "sig", which the signature would replace.
    """
    if "sig" in content:
        raise FormatError("content must not have a field sig")
    fields = {**content, "ak": access_key, "nonce": nonce}
    if lifespan_ms > 0:
        fields["expireAt"] = str(now_ms + lifespan_ms)
    try:
        text = "".join([*fields, *fields.values()])
        encoded, secret = text.encode(), secret_key.encode()
    except TypeError:
        # For example a number: signed as a number, it would not verify.
        raise FormatError("content must map text to text") from None
    except UnicodeEncodeError:
        raise FormatError("keys and content must not contain lone surrogates") from None
    names = sorted(fields, key=None if text.isascii() else _utf16)
    # Real tokens consist of unreserved characters, which neither JSON nor the query escapes:
    # checking first is several times faster than escaping.
    is_plain = not encoded.translate(None, _UNRESERVED)
    signed = _plain_json(fields, names) if is_plain else _json(fields, names)
    fields["sig"] = signature_netless(secret, signed.encode())
    insort(names, "sig", key=None if is_plain else _utf16)
    query = _plain_query(fields, names) if is_plain else _query(fields, names)
    body = b2a_base64(query.encode(), newline=False).translate(_URLSAFE, b"=")
    return _PREFIXES[token_type] + body.decode()


def signed_netless(fields: Mapping[str, str]) -> bytes:
    """Returns the bytes that the signature covers; `fields` must not contain "sig"."""
    return _json(fields, sorted(fields, key=_utf16)).encode()


def signature_netless(secret_key: bytes, signed: bytes) -> str:
    """Signs the JSON of a token's fields."""
    return hmac.digest(secret_key, signed, "sha256").hex()


def _json(fields: Mapping[str, str], names: Iterable[str]) -> str:
    """Writes an object of strings as JSON.stringify does."""
    ordered = {name: fields[name] for name in names}
    return json.dumps(ordered, ensure_ascii=False, separators=(",", ":"))


def _plain_json(fields: Mapping[str, str], names: Iterable[str]) -> str:
    return '{"' + '","'.join([f'{name}":"{fields[name]}' for name in names]) + '"}'


def _query(fields: Mapping[str, str], names: Iterable[str]) -> str:
    """Writes a query string as encodeURIComponent encodes it."""
    return "&".join(
        [f"{quote(name, safe=_MARKS)}={quote(fields[name], safe=_MARKS)}" for name in names]
    )


def _plain_query(fields: Mapping[str, str], names: Iterable[str]) -> str:
    return "&".join([f"{name}={fields[name]}" for name in names])


def _utf16(name: str) -> bytes:
    """Returns a sort key: JavaScript sorts by UTF-16 code unit, Python by code point."""
    return name.encode("utf-16-be", "surrogatepass")


def nonce_text(random_bytes: bytes) -> str:
    """Returns a UUIDv4 of 16 random bytes, as `str(uuid.UUID(bytes=…, version=4))` but faster."""
    digits = random_bytes.hex()
    variant = "89ab"[random_bytes[8] >> 4 & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"
