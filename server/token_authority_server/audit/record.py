"""Records as lines, and the chain that ties each line to the one before it. Pure.

A line is a JSON object in ASCII: `time`, then what the caller tells in the order of its names, then

    chain  32 hex digits: which chain this is
    seq    the record's number in its chain, from 1
    prev   the hash of the record before it; of the first one, 64 zeros
    hash   the SHA-256 of the line up to `,"hash"`, as bytes

The hash is over bytes and stands last, so that any tool can check it without knowing how JSON was
written: `head -n 1 FILE | sed 's/,"hash":"[^"]*"}$//' | tr -d '[:cntrl:]' | sha256sum`.
"""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final, NamedTuple

from token_authority_server.formats.fingerprint import fingerprint

MAX_RECORD_BYTES: Final = 262_144
"""The longest line. A request for one token has 16 KiB, which escaping makes 96 KiB at most."""

_AT_ONCE: Final = 2000
_CHAIN_FIELDS: Final = frozenset({"chain", "seq", "prev", "hash"})
# What `seal` adds takes this much, with a number of 18 digits.
_MAX_SEAL_BYTES: Final = 260
_SEAL: Final = re.compile(
    rb',"chain":"([0-9a-f]{32})","seq":([1-9][0-9]{0,17}),"prev":"([0-9a-f]{64})"'
    rb',"hash":"([0-9a-f]{64})"\}\n?\Z'
)
_HASH_AND_REST: Final = len(b',"hash":""}') + 64
# "IA" is the length of the signature. Without it every hundredth hash would look like a token.
_TOKEN_006: Final = re.compile(r"006[0-9A-Fa-f]{32}IA")
# Escapes all but ASCII: no line break in a value, of any script, makes a second line.
_TO_JSON: Final = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
).encode

_PLAIN_JSON: Final = json.JSONEncoder(ensure_ascii=False).encode


class Chain(NamedTuple):
    """How far a chain has come."""

    chain_id: str
    """32 hex digits, random."""
    seq: int = 0
    """The number of the last record; 0 before the first."""
    last_hash: str = "0" * 64
    """The hash of the last record."""


class Link(NamedTuple):
    """What a line says of its place in a chain."""

    chain_id: str
    seq: int
    prev: str
    hash: str
    is_intact: bool
    """Whether the line has the hash that it says it has."""


def body_of(record: Mapping[str, Any], now_ms: int) -> str:
    """Writes a record as JSON without its end, which `seal` adds.

    Args:
        record: Names and values, as JSON has them.
        now_ms: Milliseconds since 1970: its time, unless it has a `time` of its own.

    Raises:
        ValueError: It holds a token, is longer than a record may be, or has a name of the chain.
    """
    if not _CHAIN_FIELDS.isdisjoint(record):
        raise ValueError("chain, seq, prev and hash are added here, and not to be given")
    fields = dict(record)
    given = fields.pop("time", None)
    time = f'"{rfc_3339(now_ms)}"' if given is None else _TO_JSON(given)
    rest = _TO_JSON(fields)[1:-1]
    body = f'{{"time":{time}{"," if rest else ""}{rest}'
    # Escaping may make a look-alike of what is none: the text itself decides.
    if looks_like_token(body) and looks_like_token(_PLAIN_JSON(record)):
        # Without the value: this message may be logged.
        raise ValueError("a record must not hold a token: use its fingerprint")
    if len(body) > MAX_RECORD_BYTES - _MAX_SEAL_BYTES:
        raise ValueError(f"a record must not be longer than {MAX_RECORD_BYTES} bytes")
    return body


def seal(chain: Chain, bodies: Iterable[str]) -> tuple[bytes, Chain]:
    """Appends records to a chain; returns their lines and how far the chain has come then."""
    chain_id, seq, last_hash = chain
    lines: list[str] = []
    for body in bodies:
        seq += 1
        hashed = f'{body},"chain":"{chain_id}","seq":{seq},"prev":"{last_hash}"'
        last_hash = _hash(hashed.encode("ascii"))
        lines.append(f'{hashed},"hash":"{last_hash}"}}\n')
    return "".join(lines).encode("ascii"), Chain(chain_id, seq, last_hash)


def _hash(data: bytes) -> str:
    """Returns the SHA-256, without ever letting go of the interpreter.

    From 2 KiB on, hashlib lets other threads run meanwhile: beside a busy event loop, each record
    would then wait for its turn for milliseconds.
    """
    hashed = sha256()
    for start in range(0, len(data), _AT_ONCE):
        hashed.update(data[start : start + _AT_ONCE])
    return hashed.hexdigest()


def link_of(line: bytes) -> Link | None:
    """Reads a line's place in its chain; None if the line is not a record."""
    found = _SEAL.search(line[-_MAX_SEAL_BYTES:])
    if not found:
        return None
    hashed = line.removesuffix(b"\n")[:-_HASH_AND_REST]
    chain_id, seq, prev, said = found.groups()
    is_intact = sha256(hashed).hexdigest().encode() == said
    return Link(chain_id.decode(), int(seq), prev.decode(), said.decode(), is_intact)


def rfc_3339(ms: int) -> str:
    """Writes milliseconds since 1970 in UTC: "2026-11-22T23:04:38.123Z"."""
    text = datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def looks_like_token(text: str) -> bool:
    """Whether a token of any format may begin somewhere in a text."""
    return (
        "007eJ" in text
        or ("NETLESS" in text and any(f"NETLESS{k}_" in text for k in ("SDK", "ROOM", "TASK")))
        or ("006" in text and _TOKEN_006.search(text) is not None)
    )


def without_token(text: str) -> str:
    """Returns a text that a caller chose as a record may hold it: a token becomes its id.

    People paste tokens into fields for channels, users and ids of requests.
    """
    return f"(token {fingerprint(text)})" if looks_like_token(text) else text
