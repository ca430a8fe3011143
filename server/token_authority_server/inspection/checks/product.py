"""Looks at which product the token is for, and with which rights."""

import re
from collections.abc import Iterable
from typing import Final

from token_authority_server.inspection.case import Case, Check, Explanation
from token_authority_server.inspection.decode_netless import ROLES
from token_authority_server.inspection.decoded import Service
from token_authority_server.inspection.findings import FindingReason, Severity
from token_authority_server.inspection.services import (
    CHAT,
    EDUCATION,
    JOIN,
    RTC,
    RTM,
    RTM2,
    SERVICES,
)
from token_authority_server.inspection.verify import Verdict
from token_authority_server.inspection.wording import quoted

# The rights with which nobody has to be named.
_APP_RIGHTS: Final = {CHAT: 2, EDUCATION: 3}
_NOUNS: Final = {
    "whiteboard.sdk": "an SDK",
    "whiteboard.room": "a room",
    "whiteboard.task": "a task",
}
# Agora's rooms and tasks have 32.
_SHORT_UUID: Final = re.compile(r"[0-9a-f]{1,31}")
_MUST_LOG_IN: Final = frozenset([RTM, CHAT, EDUCATION, RTM2])


def _names(services: Iterable[Service]) -> str:
    """Names what a token is for."""
    found = [SERVICES[service.type].name for service in services if service.type in SERVICES]
    return " and ".join(dict.fromkeys(found))


def _rtc_token_for_rtm(case: Case) -> Explanation | None:
    if not case.for_rtm or not case.decoded.kind or case.rtm or not case.rtc:
        return None
    return Explanation(
        "The token joins RTC channels, and the client logged in to RTM (Signaling) with it.",
        "Make an RTM token for that user, or a 007 token with both.",
    )


def _rtm_token_for_rtc(case: Case) -> Explanation | None:
    if not case.for_rtc or not case.decoded.kind or case.joined or not case.rtm:
        return None
    return Explanation(
        "The token logs in to RTM (Signaling), and the client joined an RTC channel with it.",
        "Make an RTC token for that channel and user, or a 007 token with both.",
    )


def _wrong_product(case: Case) -> Explanation | None:
    decoded, services = case.decoded, case.decoded.services
    if not decoded.kind or case.rtm:
        return None
    has_room = decoded.whiteboard is not None or any(
        service.room is not None for service in services
    )
    used = ""
    if case.for_rtm and not case.rtc:
        used = "to log in to RTM (Signaling)"
    elif case.for_rtc and not case.joined:
        used = "to join an RTC channel"
    elif case.expected.room_uuid and not has_room:
        used = "to enter a room"
    if not used:
        return None
    made_for = "the whiteboard" if decoded.whiteboard is not None else _names(services)
    return Explanation(
        f"The token is for {made_for or 'another product'}, and was used {used}.",
        "Make a token of the kind that the client needs there.",
    )


def _no_join_privilege(case: Case) -> Explanation | None:
    if all(JOIN in service.rights for service in case.rtc):
        return None
    return Explanation(
        "The token is for an RTC channel and lacks the right to join it.",
        "Grant join_channel; the rights to publish are of no use without it.",
    )


def _no_login_privilege(case: Case) -> Explanation | None:
    bare = [
        service
        for service in case.decoded.services
        if service.type in _MUST_LOG_IN and not service.rights
    ]
    if not bare:
        return None
    return Explanation(
        f"The token is for {_names(bare)} and has no right there.",
        "Make it with one of Agora's current libraries, or with this server: some builders forget "
        "that right.",
    )


def _subscriber_not_enforced(case: Case) -> Explanation | None:
    full = SERVICES[RTC].rights
    weak = [service for service in case.rtc if JOIN in service.rights]
    if all(service.rights.keys() >= full.keys() for service in weak):
        return None
    lacking = [
        full[right] for right in full if any(right not in service.rights for service in weak)
    ]
    return Explanation(
        f"The token does not grant {', '.join(lacking)}; Agora lets its holder publish all the "
        "same, until co-host authentication is enabled, and then only in the live broadcasting "
        "profile.",
        "Enable co-host authentication in Agora's console if subscribers must not publish; if "
        "this user should, ask for the publisher role (in 007 that is role 1 and no other).",
    )


def _legacy_format_006(case: Case) -> Explanation | None:
    if case.decoded.format != "006" or case.decoded.sealed is None:
        return None
    return Explanation(
        "The token is in the older format 006, which SDKs and products that want 007 refuse.",
        "Make a 007 token, unless the client's SDK is too old to read one.",
    )


def _app_token(case: Case) -> Explanation | None:
    services = case.decoded.services
    if not any(_APP_RIGHTS.get(service.type, -1) in service.rights for service in services):
        return None
    return Explanation(
        "This is an app token: whoever has it may call the REST API with all rights.",
        "Keep it on servers; if a client had it, replace the certificate. Hand clients user "
        "tokens.",
    )


def _has_room(case: Case) -> bool | None:
    """Whether a whiteboard token is for a room or task; None where that cannot be told."""
    whiteboard = case.decoded.whiteboard
    if whiteboard is None or case.decoded.sealed is None:
        return None
    return bool(whiteboard.get("uuid"))


def _sdk_token(case: Case) -> Explanation | None:
    if _has_room(case) is not False:
        return None
    return Explanation(
        "By its content this is an SDK token: whoever has it may enter, and make tokens for, every "
        "room of the project.",
        "Keep it on servers; if a client had it, replace its access key. Hand clients room or "
        "task tokens.",
    )


def _prefix_relabelled(case: Case) -> Explanation | None:
    has_room = _has_room(case)
    if has_room is None or has_room == (case.decoded.kind != "whiteboard.sdk"):
        return None
    content = "a room or task" if has_room else "neither a room nor a task, like an SDK token's"
    return Explanation(
        f"By its prefix this is {_NOUNS[case.decoded.kind]} token, and its content names "
        f"{content}. The prefix is not signed.",
        "Make a token of the kind that is needed, instead of changing the prefix; if nobody did, "
        "look for what cut its uuid off.",
    )


def _uuid_short(case: Case) -> Explanation | None:
    whiteboard = case.decoded.whiteboard
    if whiteboard is None or case.decoded.sealed is None:
        return None
    # The uuid stands last, behind the signature: only a key can tell that some of it is missing.
    uuid = whiteboard.get("uuid", "")
    if case.signature.verdict is Verdict.VALID or not _SHORT_UUID.fullmatch(uuid):
        return None
    return Explanation(
        f"The token's uuid has {len(uuid)} hex digits, and Agora's have 32: it looks as if its end "
        "is missing.",
        "Compare the uuid with the room's or task's; if it is shorter, look for what cuts the "
        "token on the way.",
    )


def _role_unknown(case: Case) -> Explanation | None:
    whiteboard = case.decoded.whiteboard
    if whiteboard is None or case.decoded.sealed is None or whiteboard.get("role") in ROLES:
        return None
    role = whiteboard.get("role")
    said = "no role" if role is None else f"the role {quoted(role)}"
    return Explanation(
        f"The token has {said}, which is none of 0 (admin), 1 (writer) and 2 (reader).",
        'Pass the role as one of the texts "0", "1" and "2".',
    )


CHECKS: Final = (
    Check(FindingReason.RTC_TOKEN_FOR_RTM, Severity.ERROR, _rtc_token_for_rtm),
    Check(FindingReason.RTM_TOKEN_FOR_RTC, Severity.ERROR, _rtm_token_for_rtc),
    Check(FindingReason.WRONG_PRODUCT, Severity.ERROR, _wrong_product),
    Check(FindingReason.PREFIX_RELABELLED, Severity.ERROR, _prefix_relabelled),
    Check(FindingReason.NO_JOIN_PRIVILEGE, Severity.ERROR, _no_join_privilege),
    Check(FindingReason.NO_LOGIN_PRIVILEGE, Severity.ERROR, _no_login_privilege),
    Check(FindingReason.SDK_TOKEN_SERVER_SIDE_ONLY, Severity.WARNING, _sdk_token),
    Check(FindingReason.APP_TOKEN_SERVER_SIDE_ONLY, Severity.WARNING, _app_token),
    Check(FindingReason.LEGACY_FORMAT_006, Severity.WARNING, _legacy_format_006),
    Check(FindingReason.SUBSCRIBER_NOT_ENFORCED, Severity.WARNING, _subscriber_not_enforced),
    Check(FindingReason.UUID_SHORT, Severity.WARNING, _uuid_short),
    Check(FindingReason.ROLE_UNKNOWN, Severity.WARNING, _role_unknown),
)
