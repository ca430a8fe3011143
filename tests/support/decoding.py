"""Decodes Agora tokens, independently of the code that encodes them.

Written from the description of the formats. It shares no code with `formats/`, so that a round
trip through both proves something.
"""

import base64
import hashlib
import hmac
import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote


class Reader:
    """Reads little-endian values from bytes."""

    def __init__(self, data: bytes) -> None:
        self.rest = data

    def take(self, count: int) -> bytes:
        if len(self.rest) < count:
            raise ValueError("truncated")
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken

    def number(self, code: str) -> int:
        (value,) = struct.unpack("<" + code, self.take(struct.calcsize("<" + code)))
        return int(value)

    def data(self) -> bytes:
        return self.take(self.number("H"))

    def text(self) -> str:
        return self.data().decode()

    def privileges(self) -> dict[int, int]:
        return {self.number("H"): self.number("I") for _ in range(self.number("H"))}


@dataclass(frozen=True)
class Decoded:
    """A token's fields, and a check of its signature."""

    fields: dict[str, Any]
    verifies: Callable[..., bool]


def decode(token: str) -> Decoded:
    """Decodes a token of any of the three formats."""
    if token.startswith("006"):
        return _decode_006(token)
    if token.startswith("007"):
        return _decode_007(token)
    return _decode_netless(token)


def _decode_netless(token: str) -> Decoded:
    prefix, _, body = token.partition("_")
    query = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)).decode()
    pairs = [pair.partition("=") for pair in query.split("&")]
    fields = {unquote(name): unquote(value) for name, _, value in pairs}
    signed = {name: value for name, value in fields.items() if name != "sig"}

    def verifies(secret_key: str) -> bool:
        text = json.dumps(
            dict(sorted(signed.items(), key=lambda item: item[0].encode("utf-16-be"))),
            ensure_ascii=False,
            separators=(",", ":"),
        )
        mac = hmac.new(secret_key.encode(), text.encode(), hashlib.sha256).hexdigest()
        return hmac.compare_digest(mac, fields["sig"])

    return Decoded({"prefix": prefix + "_", **fields}, verifies)


def _decode_006(token: str) -> Decoded:
    app_id = token[3:35]
    content = Reader(base64.b64decode(token[35:], validate=True))
    signature = content.data()
    crc_channel, crc_uid = content.number("I"), content.number("I")
    raw = content.data()
    if content.rest:
        raise ValueError("trailing bytes")
    message = Reader(raw)
    fields = {
        "app_id": app_id,
        "crc_channel": crc_channel,
        "crc_uid": crc_uid,
        "salt": message.number("I"),
        "ts": message.number("I"),
        "privileges": message.privileges(),
    }
    if message.rest:
        raise ValueError("trailing bytes")

    def verifies(certificate: str, channel: str, uid: str) -> bool:
        signed = (app_id + channel + uid).encode() + raw
        mac = hmac.new(certificate.encode(), signed, hashlib.sha256).digest()
        return (
            hmac.compare_digest(mac, signature)
            and zlib.crc32(channel.encode()) == crc_channel
            and zlib.crc32(uid.encode()) == crc_uid
        )

    return Decoded(fields, verifies)


_BODIES: dict[int, Callable[[Reader], dict[str, Any]]] = {
    1: lambda reader: {"channel_name": reader.text(), "uid": reader.text()},
    2: lambda reader: {"user_id": reader.text()},
    3: lambda reader: {"channel_name": reader.text(), "uid": reader.text()},
    4: lambda _: {},
    5: lambda reader: {"user_id": reader.text()},
    6: lambda reader: {"channel_name": reader.text(), "uid": reader.text()},
    7: lambda reader: {
        "room_uuid": reader.text(),
        "user_uuid": reader.text(),
        "role": reader.number("h"),
    },
    8: lambda reader: {"user_id": reader.text(), "permissions": _permissions(reader)},
    9: lambda _: {},
    10: lambda _: {},
}


def _permissions(reader: Reader) -> dict[int, dict[int, list[str]]]:
    return {
        reader.number("H"): {
            reader.number("H"): [reader.text() for _ in range(reader.number("H"))]
            for _ in range(reader.number("H"))
        }
        for _ in range(reader.number("H"))
    }


def inflate(token: str) -> bytes:
    """Returns what a 007 token compresses: the part to compare between zlib builds."""
    return zlib.decompress(base64.b64decode(token[3:], validate=True))


def _decode_007(token: str) -> Decoded:
    content = Reader(inflate(token))
    signature, signed = content.data(), content.rest
    fields: dict[str, Any] = {
        "app_id": content.text(),
        "issue_ts": content.number("I"),
        "expire": content.number("I"),
        "salt": content.number("I"),
        "services": [],
    }
    for _ in range(content.number("H")):
        service_type = content.number("H")
        privileges = content.privileges()
        body = _BODIES[service_type](content)
        fields["services"].append({"type": service_type, "privileges": privileges, **body})
    if content.rest:
        raise ValueError("trailing bytes")

    def verifies(certificate: str) -> bool:
        key = certificate.encode()
        for number in ("issue_ts", "salt"):
            key = hmac.new(struct.pack("<I", fields[number]), key, hashlib.sha256).digest()
        mac = hmac.new(key, signed, hashlib.sha256).digest()
        return hmac.compare_digest(mac, signature)

    return Decoded(fields, verifies)
