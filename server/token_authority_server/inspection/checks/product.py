"""Checks of the product and the privileges."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from token_authority_server.formats import token_warnings
from token_authority_server.inspection.agora_errors import Product
from token_authority_server.inspection.case import (
    Case,
    Check,
    Explanation,
    explained,
    products_of,
)
from token_authority_server.inspection.decode_netless import ROLES
from token_authority_server.inspection.decoded import DecodedService
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

# The privileges of app tokens, which name no user.
_APP_RIGHTS: Final = {CHAT: 2, EDUCATION: 3}
_NOUNS: Final = {
    "whiteboard.sdk": "an SDK",
    "whiteboard.room": "a room",
    "whiteboard.task": "a task",
}
_USES: Final[Mapping[Product, str]] = {
    Product.RTC: "to join an RTC channel",
    Product.RTM: "to log in to RTM (Signaling)",
    Product.CHAT: "to log in to Chat",
    Product.EDUCATION: "to enter a classroom",
    Product.WHITEBOARD: "to enter a whiteboard room",
}
# Agora's uuids of rooms and tasks have 32 hex digits.
_SHORT_UUID: Final = re.compile(r"[0-9a-f]{1,31}")
_MUST_LOG_IN: Final = frozenset([RTM, CHAT, EDUCATION, RTM2])


def _names(services: Iterable[DecodedService]) -> str:
    found = [SERVICES[service.type].name for service in services if service.type in SERVICES]
    return " and ".join(dict.fromkeys(found))


def _rtc_token_for_rtm(case: Case) -> Explanation | None:
    if not case.for_rtm or not case.decoded.kind or case.rtm or not case.rtc:
        return None
    return Explanation(
        "The token is for RTC channels; the client logged in to RTM (Signaling) with it.",
        "Make an RTM token for that user, or a 007 token for both.",
    )


def _rtm_token_for_rtc(case: Case) -> Explanation | None:
    if not case.decoded.kind or case.joined or not case.rtm:
        return None
    if case.for_rtc:
        return Explanation(
            "The token is for RTM (Signaling); the client joined an RTC channel with it.",
            "Make an RTC token for that channel and user, or a 007 token for both.",
        )
    if case.product is None and case.expected.channel_name:
        # RTM has channels too, which need no separate token.
        return Explanation(
            "The token is for RTM (Signaling): it does not join RTC channels.",
            "If the client joined an RTC channel, make an RTC token for that channel and user; if "
            "it logged in to RTM, pass product: rtm.",
            Severity.WARNING,
        )
    return None


def _wrong_product(case: Case) -> Explanation | None:
    decoded = case.decoded
    used = _wrong_use(case)
    if not decoded.kind or not used:
        return None
    made_for = "the whiteboard" if decoded.whiteboard is not None else _names(decoded.services)
    return Explanation(
        f"The token is for {made_for or 'another product'}, and was used {used}.",
        "Make a token for the product that the client uses.",
    )


def _wrong_use(case: Case) -> str:
    """Describes what the token was used for, if its product is another one."""
    product, services = case.product, case.decoded.services
    if product in (Product.RTC, Product.RTM) and case.rtm:
        return ""
    if product is Product.RTM:
        return "" if case.rtc else _USES[product]
    if product is Product.RTC and not case.joined:
        return _USES[product]
    if product not in (None, Product.RTC) and product not in products_of(case.decoded):
        return _USES[product]
    has_room = case.decoded.whiteboard is not None or any(
        service.room is not None for service in services
    )
    return "to enter a room" if case.expected.room_uuid and not has_room and not case.rtm else ""


def _no_join_privilege(case: Case) -> Explanation | None:
    if all(JOIN in service.rights for service in case.rtc):
        return None
    return explained(token_warnings.NO_JOIN_PRIVILEGE)


def _no_login_privilege(case: Case) -> Explanation | None:
    bare = [
        service
        for service in case.decoded.services
        if service.type in _MUST_LOG_IN and not service.rights
    ]
    if not bare:
        return None
    return Explanation(
        f"The token is for {_names(bare)} and has no privilege there.",
        "Make the token with one of Agora's current libraries or with this server: some builders "
        "omit that privilege.",
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
        f"The token does not grant {', '.join(lacking)}; Agora lets its holder publish anyway "
        "unless co-host authentication is enabled, and enforces it in the live broadcasting "
        "profile only.",
        f"{token_warnings.SUBSCRIBER_NOT_ENFORCED.advice} If this user should publish, request the "
        "publisher role (in 007, role 1).",
    )


def _legacy_format_006(case: Case) -> Explanation | None:
    if case.decoded.format != "006" or case.decoded.sealed is None:
        return None
    return explained(token_warnings.LEGACY_FORMAT_006)


def _app_token(case: Case) -> Explanation | None:
    services = case.decoded.services
    if not any(_APP_RIGHTS.get(service.type, -1) in service.rights for service in services):
        return None
    return explained(token_warnings.APP_TOKEN_SERVER_SIDE_ONLY)


def _rtm_permissions_inactive(case: Case) -> Explanation | None:
    if not any(service.type == RTM2 for service in case.decoded.services):
        return None
    return explained(token_warnings.RTM_PERMISSIONS_INACTIVE)


def _has_room(case: Case) -> bool | None:
    """Whether a whiteboard token is for a room or task; None if that is not known."""
    whiteboard = case.decoded.whiteboard
    if whiteboard is None or case.decoded.sealed is None:
        return None
    return bool(whiteboard.get("uuid"))


def _sdk_token(case: Case) -> Explanation | None:
    if _has_room(case) is not False:
        return None
    return Explanation(
        "This is an SDK token by its content: its holder may enter, and make tokens for, every "
        "room of the project.",
        token_warnings.SDK_TOKEN_SERVER_SIDE_ONLY.advice,
    )


def _prefix_relabelled(case: Case) -> Explanation | None:
    has_room = _has_room(case)
    if has_room is None or has_room == (case.decoded.kind != "whiteboard.sdk"):
        return None
    content = "a room or task" if has_room else "neither a room nor a task, like an SDK token's"
    return Explanation(
        f"By its prefix this is {_NOUNS[case.decoded.kind]} token, but its content names "
        f"{content}. The prefix is not signed.",
        "Make a token of the kind that is needed instead of changing the prefix. If nobody changed "
        "it, find what cuts the uuid off.",
    )


def _uuid_short(case: Case) -> Explanation | None:
    whiteboard = case.decoded.whiteboard
    if whiteboard is None or case.decoded.sealed is None:
        return None
    # The uuid is last, after the signature: only a key can tell whether some of it is missing.
    uuid = whiteboard.get("uuid", "")
    if case.signature.verdict is Verdict.VALID or not _SHORT_UUID.fullmatch(uuid):
        return None
    return Explanation(
        f"The token's uuid has {len(uuid)} hex digits instead of 32: its end is probably missing.",
        "Compare it with the uuid of the room or task; if it is shorter, find what cuts the token "
        "off.",
    )


def _role_unknown(case: Case) -> Explanation | None:
    whiteboard = case.decoded.whiteboard
    if whiteboard is None or case.decoded.sealed is None or whiteboard.get("role") in ROLES:
        return None
    role = whiteboard.get("role")
    said = "no role" if role is None else f"the role {quoted(role)}"
    return Explanation(
        f"The token has {said}; the roles are 0 (admin), 1 (writer) and 2 (reader).",
        'Pass the role as a string: "0", "1" or "2".',
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
    Check(FindingReason.RTM_PERMISSIONS_INACTIVE, Severity.WARNING, _rtm_permissions_inactive),
    Check(FindingReason.LEGACY_FORMAT_006, Severity.WARNING, _legacy_format_006),
    Check(FindingReason.SUBSCRIBER_NOT_ENFORCED, Severity.WARNING, _subscriber_not_enforced),
    Check(FindingReason.UUID_SHORT, Severity.WARNING, _uuid_short),
    Check(FindingReason.ROLE_UNKNOWN, Severity.WARNING, _role_unknown),
)
