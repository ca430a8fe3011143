"""Decodes AccessToken 006. Pure and total.

It has no channel and user, only their CRC-32; and no issue time, only an end, which Agora's
libraries always set to 24 hours after issue.
"""

from collections.abc import Mapping
from typing import Final

from token_authority_server.formats.access_token_006 import RTM_LOGIN, TOKEN_SECONDS
from token_authority_server.inspection.decoded import Decoded, DecodedService, Name, first_end_ms
from token_authority_server.inspection.findings import (
    DecodeIssues,
    FindingReason,
    is_readable,
    mark_unreadable,
)
from token_authority_server.inspection.scan import Scan, from_base64
from token_authority_server.inspection.sealed import Sealed006
from token_authority_server.inspection.services import JOIN, LOGIN, RTC, RTM, SERVICES
from token_authority_server.inspection.wording import AS_LONG_AS_ALLOWED, end, moment

_SIGNATURE_BYTES: Final = 32
# Of the signature, the message, and (a count) the privileges.
_LENGTHS_AT: Final = (0, 2 + _SIGNATURE_BYTES + 8, 2 + _SIGNATURE_BYTES + 8 + 2 + 8)
_RIGHTS: Final[Mapping[int, str]] = {**SERVICES[RTC].rights, RTM_LOGIN: "rtm_login"}


def decode_006(token: str, issues: DecodeIssues) -> Decoded:
    """Reads a token with the prefix 006."""
    app_id = token[3:35].encode("ascii", "replace").decode() if len(token) >= 35 else ""
    packed = from_base64(token[35:], issues)
    cut = FindingReason.TRUNCATED if _is_plausible(packed.data) else FindingReason.DAMAGED
    outer = Scan(packed.data, issues, cut)
    if app_id:
        outer.keep("app_id", app_id)
    sealed = _sealed(outer, app_id, issues)
    if packed.flaw:
        mark_unreadable(issues, packed.flaw)
    if sealed is None:
        return Decoded(issues, token, "006", app_id=app_id, fields=tuple(outer.fields))
    message = Scan(sealed.message, issues, fields=outer.fields)
    issue_ms, rights = _message(message, issues)
    services = tuple(_services(rights, sealed))
    hard_end_ms = _hard_end_ms(issue_ms, rights)
    readable = is_readable(issues)
    end_ms = expire_ms = None
    if hard_end_ms is not None:
        end_ms = max(service.end_ms(hard_end_ms) for service in services)
        expire_ms = first_end_ms(services, hard_end_ms)
    return Decoded(
        issues,
        token,
        "006",
        _kind(rights) if readable else "",
        app_id,
        issue_ms=issue_ms,
        end_ms=end_ms,
        hard_end_ms=hard_end_ms,
        expire_ms=expire_ms,
        services=services,
        fields=tuple(message.fields),
        omitted_field_count=message.omitted,
        sealed=sealed if readable else None,
    )


def _is_plausible(data: bytes) -> bool:
    """Tells whether the lengths agree with each other, as they do in a token that was cut off.

    A lost or added character shifts everything after it, lengths included.
    """
    lengths = [
        int.from_bytes(data[at : at + 2], "little") for at in _LENGTHS_AT if len(data) > at + 1
    ]
    if lengths and lengths[0] != _SIGNATURE_BYTES:
        return False
    # Salt, end and count have 10 bytes, each privilege 6.
    if len(lengths) > 1 and (lengths[1] < 10 or lengths[1] % 6 != 4):
        return False
    return len(lengths) < 3 or lengths[1] == 10 + 6 * lengths[2]


def _hard_end_ms(issue_ms: int | None, rights: Mapping[int, int]) -> int | None:
    """Returns when the token ends, regardless of its privileges: 24 h after issue.

    A privilege of 0 means the same ("deploy a token server": 0, or a longer time, means 24 h).
    """
    if issue_ms is not None:
        return issue_ms + TOKEN_SECONDS * 1000
    ends_ms = [rights[right] * 1000 for right in (JOIN, RTM_LOGIN) if rights.get(right)]
    return max(ends_ms, default=None)


def _sealed(outer: Scan, app_id: str, issues: DecodeIssues) -> Sealed006 | None:
    with outer:
        signature = outer.data()
        crc_channel, crc_user = outer.u32(), outer.u32()
        outer.keep("crc_channel_name", crc_channel, "CRC-32 of the channel, or of the RTM user")
        outer.keep("crc_uid", crc_user, "CRC-32 of the user" if crc_user else "anyone")
        message = outer.data()
        if outer.rest:
            # Not signed, and no encoder writes any.
            mark_unreadable(issues, FindingReason.DAMAGED)
        return Sealed006(app_id, signature, crc_channel, crc_user, message)
    return None


def _message(message: Scan, issues: DecodeIssues) -> tuple[int | None, Mapping[int, int]]:
    """Returns the issue time and the privileges: number -> seconds since 1970."""
    issue_ms: int | None = None
    rights: dict[int, int] = {}
    with message:
        message.keep("salt", message.u32())
        ends_at = message.u32()
        message.keep("ends_at", ends_at, moment(ends_at * 1000))
        if ends_at >= TOKEN_SECONDS:
            issue_ms = (ends_at - TOKEN_SECONDS) * 1000
        for right, at in message.pairs():
            meaning = "unknown"
            if right in _RIGHTS:
                meaning = "repeated" if right in rights else _meaning(at, issue_ms)
            rights[right] = at
            message.keep(f"privileges.{_RIGHTS.get(right, right)}", at, meaning)
        if message.rest:
            issues[FindingReason.UNREAD_BYTES] = str(len(message.rest))
    return issue_ms, rights


def _meaning(at: int, issue_ms: int | None) -> str:
    return end(at * 1000, issue_ms) if at else AS_LONG_AS_ALLOWED


def _services(rights: Mapping[int, int], sealed: Sealed006) -> list[DecodedService]:
    """Returns the services that a 007 token would have."""
    channel = Name(None, sealed.crc_channel)
    services: list[DecodedService] = []
    of_rtc = {right: at for right, at in rights.items() if right != RTM_LOGIN}
    if of_rtc or RTM_LOGIN not in rights:
        user = Name(None, sealed.crc_user)
        services.append(DecodedService(RTC, of_rtc, _ends_ms(of_rtc), channel, user))
    if RTM_LOGIN in rights:
        login = {LOGIN: rights[RTM_LOGIN]}
        # RTM expects the user where an RTC token has its channel, and nothing in the uid's place.
        misplaced = not of_rtc and sealed.crc_user != 0
        user = Name(None, sealed.crc_user) if misplaced else channel
        services.append(
            DecodedService(RTM, login, _ends_ms(login), user=user, is_user_misplaced=misplaced)
        )
    return services


def _ends_ms(rights: Mapping[int, int]) -> dict[int, int]:
    return {right: at * 1000 for right, at in rights.items() if at}


def _kind(rights: Mapping[int, int]) -> str:
    if rights and rights.keys() <= SERVICES[RTC].rights.keys():
        return "rtc"
    return "rtm" if [*rights] == [RTM_LOGIN] else "access_token"
