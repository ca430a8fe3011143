"""Reads Interactive Whiteboard ("netless") tokens. Pure and total."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote_to_bytes

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
from token_authority_server.inspection.wording import MAX_MS, moment

ROLES: Final[Mapping[str, str]] = {"0": "admin", "1": "writer", "2": "reader"}
# Real ones have 200; decoding escapes is slow.
_MAX_QUERY: Final = 8192
_KINDS: Final[Mapping[str, str]] = {
    "NETLESSSDK": "whiteboard.sdk",
    "NETLESSROOM": "whiteboard.room",
    "NETLESSTASK": "whiteboard.task",
}


def decode_netless(token: str, issues: DecodeIssues) -> Decoded:
    """Reads a token with a prefix of the whiteboard."""
    prefix, _, body = token.partition("_")
    pairs, omitted = _pairs(body, issues)
    if not omitted:
        _mark_missing(dict(pairs), issues)
    readable = is_readable(issues)
    if not readable:
        # The last may be cut in the middle.
        del pairs[-1:]
    values = dict(pairs)
    if len(values) < len(pairs):
        issues[FindingReason.FIELD_REPEATED] = ""
    signature = values.pop("sig", "")
    expire_ms = _expire_ms(values, issues)
    # Text that is not UTF-8 was signed as other text than is shown here.
    can_verify = readable and not omitted and FindingReason.NOT_UTF8 not in issues
    return Decoded(
        issues,
        token,
        "netless",
        _KINDS[prefix] if readable else "",
        whiteboard=values,
        end_ms=expire_ms,
        expire_ms=expire_ms,
        # All but the signature, with which the token could be put together again.
        fields=tuple([_field(name, value) for name, value in pairs if name != "sig"]),
        omitted_field_count=omitted,
        sealed=SealedNetless(signature, signed_netless(values)) if can_verify else None,
    )


def _pairs(body: str, issues: DecodeIssues) -> tuple[list[tuple[str, str]], int]:
    """Returns names and values, in their order, and how many more there are."""
    query = as_text(from_base64(body, issues, urlsafe=True), issues)
    if len(query) > _MAX_QUERY:
        mark_unreadable(
            issues, FindingReason.TOO_LARGE, f"has more than {_MAX_QUERY} characters of content"
        )
        query = query[:_MAX_QUERY]
    if not query:
        return [], 0
    pairs: list[tuple[str, str]] = []
    for pair in query.split("&", MAX_FIELDS)[:MAX_FIELDS]:
        name, _, value = pair.partition("=")
        pairs.append((_unquoted(name, issues), _unquoted(value, issues)))
    omitted = query.count("&") + 1 - len(pairs)
    if omitted:
        issues[FindingReason.TOO_MANY_VALUES] = str(omitted)
    return pairs, omitted


def _unquoted(text: str, issues: DecodeIssues) -> str:
    return as_text(unquote_to_bytes(text), issues) if "%" in text else text


def _field(name: str, value: str) -> Field:
    if name == "role":
        return Field(name, value, ROLES.get(value, "not a role"))
    if name == "expireAt" and (expire_ms := _milliseconds(value)) is not None:
        return Field(name, value, f"until {moment(expire_ms)}")
    return Field(name, value)


def _milliseconds(text: str) -> int | None:
    """Reads a moment; far more digits than any moment has are not worth reading."""
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
    """The signature is the last field, or the last but the uuid."""
    signature = values.get("sig", "")
    is_last = "sig" not in values or [*values][-1] == "sig"
    if values and "ak" not in values:
        mark_unreadable(issues, FindingReason.CORRUPT, "it names no access key")
    elif len(signature) < 64 and is_last:
        mark_unreadable(issues, FindingReason.TRUNCATED)
