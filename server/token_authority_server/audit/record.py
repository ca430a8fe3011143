"""Encodes records as lines, and links each line to the one before it. Redacts tokens. Pure.

A line is a JSON object in ASCII: `time`, then the record's fields in alphabetical order, then

    chain  32 hex digits: the id of the chain
    seq    the record's number in its chain, from 1
    prev   the hash of the previous record; 64 zeros in the first one
    hash   the SHA-256 of the line up to `,"hash"`, as bytes

The hash covers bytes and comes last, so that any tool can check it without parsing JSON:
`head -n 1 FILE | sed 's/,"hash":"[^"]*"}$//' | tr -d '[:cntrl:]' | sha256sum`.
"""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final, NamedTuple

from token_authority_server.formats.fingerprint import fingerprint

MAX_RECORD_BYTES: Final = 262_144
"""Longest line. A request for one token has at most 16 KiB, 96 KiB when escaped."""

_AT_ONCE: Final = 2000
_CHAIN_FIELDS: Final = frozenset({"chain", "seq", "prev", "hash"})
# Length of what `seal` adds, with a number of 18 digits.
_MAX_SEAL_BYTES: Final = 260
_SEAL: Final = re.compile(
    rb',"chain":"([0-9a-f]{32})","seq":([1-9][0-9]{0,17}),"prev":"([0-9a-f]{64})"'
    rb',"hash":"([0-9a-f]{64})"\}\n?\Z'
)
_HASH_AND_REST: Final = len(b',"hash":""}') + 64
# "IA" is the length of the signature. Without it every hundredth hash would look like a token.
_TOKEN_006: Final = re.compile(r"006[0-9A-Fa-f]{32}IA")
# Escapes everything but ASCII: no Unicode line break in a value can start another line.
_TO_JSON: Final = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
).encode

_PLAIN_JSON: Final = json.JSONEncoder(ensure_ascii=False).encode


class Chain(NamedTuple):
    """Last record of a chain."""

    chain_id: str
    """32 hex digits, random."""
    seq: int = 0
    """Number of the last record; 0 before the first."""
    last_hash: str = "0" * 64
    """Hash of the last record."""


class Link(NamedTuple):
    """A line's place in its chain, as written in the line."""

    chain_id: str
    seq: int
    prev: str
    hash: str
    is_intact: bool
    """Whether the line matches its hash."""


def body_of(record: Mapping[str, Any], now_ms: int) -> str:
    """Encodes a record as JSON without its end, which `seal` adds.

    Args:
        record: Names and JSON values.
        now_ms: Milliseconds since 1970, used unless the record has a `time`.

    Raises:
        ValueError: The record contains a token, is too long, or uses a name of the chain.
    """
    if not _CHAIN_FIELDS.isdisjoint(record):
        raise ValueError(
            "a record must not have the fields chain, seq, prev and hash: they are added to it"
        )
    fields = dict(record)
    given = fields.pop("time", None)
    time = f'"{rfc_3339(now_ms)}"' if given is None else _TO_JSON(given)
    rest = _TO_JSON(fields)[1:-1]
    body = f'{{"time":{time}{"," if rest else ""}{rest}'
    # Escaping can produce a false match, so the unescaped text decides.
    if looks_like_token(body) and looks_like_token(_PLAIN_JSON(record)):
        # Without the value, since this message may be logged.
        raise ValueError("a record must not contain a token: use its fingerprint")
    if len(body) > MAX_RECORD_BYTES - _MAX_SEAL_BYTES:
        raise ValueError(f"a record must not be longer than {MAX_RECORD_BYTES} bytes")
    return body


def seal(chain: Chain, bodies: Iterable[str]) -> tuple[bytes, Chain]:
    """Appends records to a chain; returns their lines and the new end of the chain."""
    chain_id, seq, last_hash = chain
    lines: list[str] = []
    for body in bodies:
        seq += 1
        hashed = f'{body},"chain":"{chain_id}","seq":{seq},"prev":"{last_hash}"'
        last_hash = _hash(hashed.encode("ascii"))
        lines.append(f'{hashed},"hash":"{last_hash}"}}\n')
    return "".join(lines).encode("ascii"), Chain(chain_id, seq, last_hash)


def _hash(data: bytes) -> str:
    """Returns the SHA-256, without ever releasing the GIL.

    hashlib releases it for 2 KiB or more; next to a busy event loop, each record would then wait
    milliseconds to reacquire it.
    """
    hashed = sha256()
    for start in range(0, len(data), _AT_ONCE):
        hashed.update(data[start : start + _AT_ONCE])
    return hashed.hexdigest()


def link_of(line: bytes) -> Link | None:
    """Parses a line's place in its chain; None if the line is not a record."""
    found = _SEAL.search(line[-_MAX_SEAL_BYTES:])
    if not found:
        return None
    hashed = line.removesuffix(b"\n")[:-_HASH_AND_REST]
    chain_id, seq, prev, said = found.groups()
    is_intact = sha256(hashed).hexdigest().encode() == said
    return Link(chain_id.decode(), int(seq), prev.decode(), said.decode(), is_intact)


def rfc_3339(ms: int) -> str:
    """Formats milliseconds since 1970 as UTC: "2026-11-22T23:04:38.123Z"."""
    text = datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def looks_like_token(text: str) -> bool:
    """Whether a text may contain a token of any format."""
    return (
        "007eJ" in text
        or ("NETLESS" in text and any(f"NETLESS{k}_" in text for k in ("SDK", "ROOM", "TASK")))
        or ("006" in text and _TOKEN_006.search(text) is not None)
    )


def redact_tokens(text: str) -> str:
    """Redaction for logs and records: replaces a text that may contain a token by its fingerprint.

    People paste tokens into channel names, user ids and request ids.
    """
    return f"(token {fingerprint(text)})" if looks_like_token(text) else text
