"""Decodes Interactive Whiteboard ("netless") tokens. Pure and total."""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote_to_bytes
from uuid import UUID

from token_authority_server.formats.netless import signed_netless
from token_authority_server.inspection.decoded import Decoded, Field
from token_authority_server.inspection.findings import (
    DecodeIssues,
    FindingReason,
    is_readable,
    mark_unreadable,
)
from token_authority_server.inspection.scan import MAX_FIELDS, as_text, from_base64
from token_authority_server.inspection.sealed import SealedNetless
from token_authority_server.inspection.wording import MAX_MS, end, moment

ROLES: Final[Mapping[str, str]] = {"0": "admin", "1": "writer", "2": "reader"}
# Real ones have 200; decoding escapes is slow.
_MAX_QUERY: Final = 8192
_PART_OF_UUID: Final = re.compile(r"[0-9a-f-]{0,31}")
# 100 ns steps from 1582 to 1970, which UUIDs of version 1 count from.
_UUID_EPOCH: Final = 0x01B21DD213814000
# 2000-01-01: no nonce is older.
_EARLIEST_NONCE_MS: Final = 946_684_800_000
_KINDS: Final[Mapping[str, str]] = {
    "NETLESSSDK": "whiteboard.sdk",
    "NETLESSROOM": "whiteboard.room",
    "NETLESSTASK": "whiteboard.task",
}


def decode_netless(token: str, issues: DecodeIssues) -> Decoded:
    """Reads a token with a prefix of the whiteboard."""
    prefix, _, body = token.partition("_")
    pairs, omitted, flaw = _pairs(body, issues)
    if not omitted:
        _mark_missing(dict(pairs), issues)
    if flaw:
        mark_unreadable(issues, _flaw(flaw, dict(pairs)))
    readable = is_readable(issues)
    if not readable:
        # The last may be cut in the middle.
        del pairs[-1:]
    values = dict(pairs)
    if len(values) < len(pairs):
        issues[FindingReason.FIELD_REPEATED] = ""
    signature = values.pop("sig", "")
    expire_ms = _expire_ms(values, issues)
    issue_ms = _issue_ms(values.get("nonce", ""))
    # Text that is not UTF-8 was signed as other text than is shown here.
    can_verify = readable and not omitted and FindingReason.NOT_UTF8 not in issues
    return Decoded(
        issues,
        token,
        "netless",
        _KINDS[prefix] if readable else "",
        whiteboard=values,
        issue_ms=issue_ms if readable else None,
        end_ms=expire_ms,
        hard_end_ms=expire_ms,
        expire_ms=expire_ms,
        # All but the signature, with which the token could be put together again.
        fields=tuple([_field(name, value, issue_ms) for name, value in pairs if name != "sig"]),
        omitted_field_count=omitted,
        sealed=SealedNetless(signature, signed_netless(values)) if can_verify else None,
    )


def _flaw(flaw: FindingReason, values: Mapping[str, str]) -> FindingReason:
    """Tells a token that was cut off in its uuid, the last field, from one that was altered."""
    is_cut = [*values][-1:] == ["uuid"] and _PART_OF_UUID.fullmatch(values["uuid"])
    return FindingReason.TRUNCATED if is_cut else flaw


def _pairs(
    body: str, issues: DecodeIssues
) -> tuple[list[tuple[str, str]], int, FindingReason | None]:
    """Returns names and values in order, how many more there are, and the flaw of the base64."""
    data, flaw = from_base64(body, issues, urlsafe=True)
    query = data.decode(errors="replace")
    if "\ufffd" in query:
        # Encoders escape everything but ASCII: a lost or added character has shifted the bytes.
        mark_unreadable(issues, FindingReason.DAMAGED)
    if len(query) > _MAX_QUERY:
        mark_unreadable(
            issues, FindingReason.TOO_LARGE, f"has more than {_MAX_QUERY} characters of content"
        )
        query = query[:_MAX_QUERY]
    if not query:
        return [], 0, flaw
    pairs: list[tuple[str, str]] = []
    for pair in query.split("&", MAX_FIELDS)[:MAX_FIELDS]:
        name, _, value = pair.partition("=")
        pairs.append((_unquoted(name, issues), _unquoted(value, issues)))
    omitted = query.count("&") + 1 - len(pairs)
    if omitted:
        issues[FindingReason.TOO_MANY_VALUES] = str(omitted)
    return pairs, omitted, flaw


def _unquoted(text: str, issues: DecodeIssues) -> str:
    return as_text(unquote_to_bytes(text), issues) if "%" in text else text


def _field(name: str, value: str, issue_ms: int | None) -> Field:
    if name == "role":
        return Field(name, value, ROLES.get(value, "not a role"))
    if name == "expireAt" and (expire_ms := _milliseconds(value)) is not None:
        return Field(name, value, end(expire_ms, issue_ms))
    if name == "nonce" and issue_ms is not None:
        return Field(name, value, f"made at {moment(issue_ms)}")
    return Field(name, value)


def _issue_ms(nonce: str) -> int | None:
    """Returns the time in a nonce that is a UUID of version 1, as the original libraries draw it.

    JS, Python and Ruby use version 1; version 4, which the others and this server use, has no time.
    """
    try:
        uuid = UUID(nonce)
    except ValueError:
        return None
    issue_ms = (uuid.time - _UUID_EPOCH) // 10_000
    is_time = uuid.version == 1 and _EARLIEST_NONCE_MS <= issue_ms <= MAX_MS
    return issue_ms if is_time else None


def _milliseconds(text: str) -> int | None:
    """Reads a time; None for more digits than any time has."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def _expire_ms(values: Mapping[str, str], issues: DecodeIssues) -> int | None:
    if "expireAt" not in values:
        return None
    expire_ms = _milliseconds(values["expireAt"])
    if expire_ms is None:
        mark_unreadable(issues, FindingReason.CORRUPT, "its expireAt is not a number")
        return None
    return min(expire_ms, MAX_MS)


def _mark_missing(values: Mapping[str, str], issues: DecodeIssues) -> None:
    """Records missing fields. The signature is the last field, or the last before the uuid."""
    signature = values.get("sig", "")
    is_last = "sig" not in values or [*values][-1] == "sig"
    if values and "ak" not in values and [*values] != ["a"]:
        mark_unreadable(issues, FindingReason.CORRUPT, "it has no access key")
    elif len(signature) < 64 and is_last:
        mark_unreadable(issues, FindingReason.TRUNCATED)
