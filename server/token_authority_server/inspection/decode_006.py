"""Reads AccessToken 006. Pure and total.

It has no channel and user, only their CRC-32; and no issue time, only an end, which Agora's
libraries always write 24 hours after issue.
"""

from collections.abc import Mapping
from typing import Final

from token_authority_server.formats.access_token_006 import RTM_LOGIN, TOKEN_SECONDS
from token_authority_server.inspection.decoded import Decoded, Name, Service
from token_authority_server.inspection.findings import (
    DecodeIssues,
    FindingReason,
    is_readable,
    mark_unreadable,
)
from token_authority_server.inspection.scan import Scan, from_base64
from token_authority_server.inspection.sealed import Sealed006
from token_authority_server.inspection.services import JOIN, LOGIN, RTC, RTM, SERVICES
from token_authority_server.inspection.wording import end, moment

_RIGHTS: Final[Mapping[int, str]] = {**SERVICES[RTC].rights, RTM_LOGIN: "rtm_login"}


def decode_006(token: str, issues: DecodeIssues) -> Decoded:
    """Reads a token with the prefix 006."""
    app_id = token[3:35].encode("ascii", "replace").decode() if len(token) >= 35 else ""
    outer = Scan(from_base64(token[35:], issues), issues, FindingReason.TRUNCATED)
    if app_id:
        outer.keep("app_id", app_id)
    sealed = _sealed(outer, app_id, issues)
    if sealed is None:
        return Decoded(issues, token, "006", app_id=app_id, fields=tuple(outer.fields))
    message = Scan(sealed.message, issues, fields=outer.fields)
    issue_ms, rights = _message(message, issues)
    ends_ms = [rights[right] * 1000 for right in (JOIN, RTM_LOGIN) if rights.get(right)]
    if issue_ms is not None:
        # Whatever its rights say.
        ends_ms.append(issue_ms + TOKEN_SECONDS * 1000)
    expire_ms = min(ends_ms, default=None)
    readable = is_readable(issues)
    return Decoded(
        issues,
        token,
        "006",
        _kind(rights) if readable else "",
        app_id,
        issue_ms=issue_ms,
        end_ms=expire_ms,
        expire_ms=expire_ms,
        services=tuple(_services(rights, sealed)),
        fields=tuple(message.fields),
        omitted_field_count=message.omitted,
        sealed=sealed if readable else None,
    )


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
    """Returns when the token was issued, and its rights: privilege -> when it ends."""
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
                meaning = "repeated" if right in rights else end(at * 1000, issue_ms)
            rights[right] = at
            message.keep(f"privileges.{_RIGHTS.get(right, right)}", at, meaning)
        if message.rest:
            issues[FindingReason.UNREAD_BYTES] = str(len(message.rest))
    return issue_ms, rights


def _services(rights: Mapping[int, int], sealed: Sealed006) -> list[Service]:
    """Returns what would be services in 007."""
    channel = Name(None, sealed.crc_channel)
    services: list[Service] = []
    of_rtc = {right: at for right, at in rights.items() if right != RTM_LOGIN}
    if of_rtc or RTM_LOGIN not in rights:
        user = Name(None, sealed.crc_user)
        services.append(Service(RTC, of_rtc, _ends_ms(of_rtc), channel, user))
    if RTM_LOGIN in rights:
        login = {LOGIN: rights[RTM_LOGIN]}
        # The RTM user stands where an RTC token has its channel.
        services.append(Service(RTM, login, _ends_ms(login), user=channel))
    return services


def _ends_ms(rights: Mapping[int, int]) -> dict[int, int]:
    return {right: at * 1000 for right, at in rights.items() if at}


def _kind(rights: Mapping[int, int]) -> str:
    if rights and rights.keys() <= SERVICES[RTC].rights.keys():
        return "rtc"
    return "rtm" if [*rights] == [RTM_LOGIN] else "access_token"
