"""Decodes AccessToken2 007. Pure and total."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from token_authority_server.inspection.decoded import (
    DAY_SECONDS,
    Decoded,
    DecodedService,
    Name,
    first_end_ms,
)
from token_authority_server.inspection.findings import (
    DecodeIssues,
    FindingReason,
    is_readable,
    mark_unreadable,
)
from token_authority_server.inspection.scan import Scan, from_base64, inflate
from token_authority_server.inspection.sealed import Sealed007
from token_authority_server.inspection.services import (
    ACCESSES,
    CHAT,
    EDUCATION,
    RESOURCES,
    RTC,
    RTM,
    RTM2,
    SERVICES,
    UNKNOWN,
)
from token_authority_server.inspection.wording import AS_LONG_AS_ALLOWED, end, moment

# There are ten types.
_MAX_SERVICES: Final = 64
_MEANINGS: Final[Mapping[tuple[str, str], str]] = {
    ("channel_name", "*"): "every channel",
    ("channel_name", ""): "every channel",
    ("uid", ""): "anyone",
    ("uid", "0"): 'the account "0", not anyone',
    ("account", ""): "anyone",
    ("account", "0"): 'the account "0", not anyone',
    ("role", "-1"): "none",
}
# The compositions with rules of a token family, where their rights match too.
_KINDS: Final[Mapping[tuple[int, ...], Mapping[frozenset[int], str]]] = {
    (CHAT,): {frozenset([1]): "chat.user", frozenset([2]): "chat.app"},
    (EDUCATION,): {frozenset([2]): "education.user", frozenset([3]): "education.app"},
    (RTM, CHAT, EDUCATION): {frozenset([1]): "education.room_user"},
}
_PLAIN_KINDS: Final[Mapping[tuple[int, ...], str]] = {
    (RTC,): "rtc",
    (RTC, RTM): "rtc",
    (RTM,): "rtm",
    (RTM2,): "rtm",
}


class _Header(NamedTuple):
    app_id: str
    issued_at: int
    expire_seconds: int
    sealed: Sealed007


def decode_007(token: str, issues: DecodeIssues) -> Decoded:
    """Reads a token with the prefix 007."""
    packed = from_base64(token[3:], issues)
    content = inflate(packed.data, issues)
    if packed.flaw:
        mark_unreadable(issues, packed.flaw)
    scan = Scan(content, issues)
    header: _Header | None = None
    services: list[DecodedService] = []
    with scan:
        header = _header(scan)
        for index in scan.each():
            if index == _MAX_SERVICES:
                scan.leave()
            services.append(_service(scan, f"services[{index}]", header.issued_at))
            if services[-1].type not in SERVICES:
                issues[FindingReason.UNKNOWN_SERVICE] = str(services[-1].type)
                break
        else:
            if scan.rest and is_readable(issues):
                issues[FindingReason.UNREAD_BYTES] = str(len(scan.rest))
    decoded = Decoded(
        issues,
        token,
        "007",
        services=tuple(services),
        fields=tuple(scan.fields),
        omitted_field_count=scan.omitted,
    )
    return decoded if header is None else _with_header(decoded, header, is_readable(issues))


def _with_header(decoded: Decoded, header: _Header, readable: bool) -> Decoded:
    issue_ms = header.issued_at * 1000
    life = min(header.expire_seconds or DAY_SECONDS, DAY_SECONDS)
    end_ms = issue_ms + life * 1000
    return replace(
        decoded,
        kind=_kind(decoded.services) if readable else "",
        app_id=header.app_id,
        issue_ms=issue_ms,
        end_ms=end_ms,
        hard_end_ms=end_ms,
        expire_ms=first_end_ms(decoded.services, end_ms),
        expire_seconds=header.expire_seconds,
        sealed=header.sealed if readable else None,
    )


def _header(scan: Scan) -> _Header:
    signature = scan.data()
    signed = scan.rest
    app_id = scan.text()
    scan.keep("app_id", app_id)
    packed = scan.take(12)
    issued_at, expire, salt = [int.from_bytes(packed[at : at + 4], "little") for at in (0, 4, 8)]
    scan.keep("issued_at", issued_at, moment(issued_at * 1000))
    scan.keep("expire_seconds", expire, _meaning(expire, issued_at))
    scan.keep("salt", salt)
    return _Header(app_id, issued_at, expire, Sealed007(signature, signed, packed[:4], packed[8:]))


def _service(scan: Scan, path: str, issued_at: int) -> DecodedService:
    number = scan.u16()
    service_type = SERVICES.get(number, UNKNOWN)
    scan.keep(f"{path}.type", number, service_type.name)
    rights: dict[int, int] = {}
    for right, seconds in scan.pairs():
        meaning = "unknown"
        if right in service_type.rights:
            meaning = "repeated" if right in rights else _meaning(seconds, issued_at)
        rights[right] = seconds
        scan.keep(f"{path}.privileges.{service_type.rights.get(right, right)}", seconds, meaning)
    texts: dict[str, str] = {}
    for name, encoding in service_type.body:
        if encoding == "permissions":
            _permissions(scan, f"{path}.{name}")
            continue
        texts[name] = str(scan.i16()) if encoding == "i16" else scan.text()
        scan.keep(f"{path}.{name}", texts[name], _MEANINGS.get((name, texts[name]), ""))
    ends_ms = {right: (issued_at + seconds) * 1000 for right, seconds in rights.items() if seconds}
    return DecodedService(
        number,
        rights,
        ends_ms,
        Name(texts["channel_name"]) if "channel_name" in texts else None,
        Name(texts[service_type.user]) if service_type.user else None,
        texts.get("room_uuid"),
    )


def _permissions(scan: Scan, path: str) -> None:
    for _ in scan.each():
        number = scan.u16()
        resource_path = f"{path}.{RESOURCES.get(number, number)}"
        scan.keep(resource_path, number)
        for _ in scan.each():
            access = scan.u16()
            access_path = f"{resource_path}.{ACCESSES.get(access, access)}"
            scan.keep(access_path, access)
            for index in scan.each():
                scan.keep(f"{access_path}[{index}]", scan.text())


def _meaning(seconds: int, issued_at: int) -> str:
    if not seconds:
        return AS_LONG_AS_ALLOWED
    return end((issued_at + seconds) * 1000, issued_at * 1000)


def _kind(services: Sequence[DecodedService]) -> str:
    types = tuple([service.type for service in services])
    if types in _PLAIN_KINDS:
        return _PLAIN_KINDS[types]
    if types in _KINDS:
        return _KINDS[types].get(frozenset(services[-1].rights), "access_token")
    return "access_token"
