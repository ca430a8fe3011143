"""Checks of the user."""

import re
from enum import Enum, auto
from typing import Final

from token_authority_server.formats import token_warnings
from token_authority_server.inspection.agora_errors import Product
from token_authority_server.inspection.case import Case, Check, Explanation, explained
from token_authority_server.inspection.decoded import EVERY, DecodedService, Name
from token_authority_server.inspection.expected import MAX_UID
from token_authority_server.inspection.findings import FindingReason, Severity
from token_authority_server.inspection.services import CHAT, EDUCATION, RTC, RTM, RTM2, SERVICES
from token_authority_server.inspection.wording import quoted

_INTEGER: Final = re.compile(r"-?[0-9]{1,30}")
_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
# As tokens write them: "" admits anyone to a channel; "0" is an account like any other.
_ANYONE: Final = ""
_ZERO: Final = token_warnings.ZERO_ACCOUNT
# The privileges that need a user. Tokens for an app name nobody.
_USER_RIGHTS: Final = {
    RTM: frozenset([1]),
    RTM2: frozenset([1]),
    CHAT: frozenset([1]),
    EDUCATION: frozenset([1, 2]),
}


class _Difference(Enum):
    """How the user of the token and the client's user differ."""

    SPELLING = auto()
    ACCOUNT_FOR_UID = auto()
    UID_FOR_ACCOUNT = auto()
    CHAT_ID_FORM = auto()
    ANOTHER = auto()


def _names(case: Case) -> list[Name]:
    """Returns the users that the token is for, in what it was used for."""
    return [service.user for service in case.used if service.user]


def _admits(service: DecodedService, user: str) -> bool:
    name = service.user
    if name is None:
        return False
    # Wildcards for users are documented for RTC alone.
    return name.admits(user) if service.type == RTC else name.matches(user)


def _difference(case: Case) -> _Difference | None:
    """Returns how they differ; None if the token admits the user, or none is known."""
    used, names = case.expected.user, _names(case)
    if used is None or not names or any(name.matches(_ANYONE) for name in names):
        return None
    if not case.expected.is_uid_in_range:
        return None
    # The integer 0 is never written "0": that is an account, which another check reports.
    if _uid_zero_as_text(case) or any(_admits(service, used) for service in case.used):
        return None
    if any(name.resembles(used) for name in names):
        return _Difference.SPELLING
    if _is_chat_id_form(case, used):
        return _Difference.CHAT_ID_FORM
    return _of_another_kind(case, used) or _Difference.ANOTHER


def _is_chat_id_form(case: Case, used: str) -> bool:
    """Tells whether one is a Chat UUID and the other a Chat user id.

    Agora's Chat tokens are documented for "the Agora Chat user ID"; older pages ask for the UUID
    that Chat assigned at registration. The client logs in with the user id in both cases.
    """
    texts = [service.user.text for service in case.used if service.type == CHAT and service.user]
    is_uuid = _UUID.fullmatch(used) is not None
    return any(text and (_UUID.fullmatch(text) is not None) != is_uuid for text in texts)


def _of_another_kind(case: Case, used: str) -> _Difference | None:
    """Tells whether one is an integer and the other an account, which differ in channels only.

    006 has no text to tell it by.
    """
    users = [service.user for service in case.used if service.channel]
    texts = [user.text for user in users if user and user.text is not None]
    # A pattern of digits, such as 1*2, is for integers.
    numbers = [_INTEGER.fullmatch(text.replace(EVERY, "0")) is not None for text in texts]
    if not texts:
        return None
    if case.expected.uid is not None and not any(numbers):
        return _Difference.ACCOUNT_FOR_UID
    if all(numbers) and not _INTEGER.fullmatch(used):
        return _Difference.UID_FOR_ACCOUNT
    return None


def _wrong_user(case: Case) -> Explanation | None:
    if _difference(case) is not _Difference.ANOTHER:
        return None
    if case.expected.uid == 0 and any(service.channel for service in case.used):
        return Explanation(
            f"The client joined with uid 0, so that Agora chose a uid; the token is for "
            f"{_names(case)[0]}.",
            "Join with the uid that the token was made for.",
        )
    return Explanation(
        f"The client joined or logged in as {_used(case)}; the token is for {_names(case)[0]}.",
        "Make the token for the user who joins or logs in, and pass that user in the client.",
    )


def _user_spelling(case: Case) -> Explanation | None:
    if _difference(case) is not _Difference.SPELLING:
        return None
    return Explanation(
        f"The client joined or logged in as {_used(case)}; the token is for "
        f"{_names(case)[0]}: they differ in white space or case.",
        "Use the same spelling of the user on both sides.",
    )


def _chat_user_id_form(case: Case) -> Explanation | None:
    if _difference(case) is not _Difference.CHAT_ID_FORM:
        return None
    return Explanation(
        f"The client logged in to Chat as {_used(case)}; the token is for {_names(case)[0]}. One "
        "of them is a user id and the other a UUID: they may be the same person.",
        "Compare both with the user's entry in Chat (its REST API returns the UUID); make "
        "new tokens for the user id, as Agora documents now.",
    )


def _account_for_uid(case: Case) -> Explanation | None:
    if _difference(case) is not _Difference.ACCOUNT_FOR_UID:
        return None
    return Explanation(
        f"The client joined with the integer uid {case.expected.uid}; the token is for the "
        f"string account {_names(case)[0]}.",
        "Make the token for the integer, or join with the account (joinChannelWithUserAccount); "
        "one channel cannot mix the two.",
    )


def _uid_for_account(case: Case) -> Explanation | None:
    if _difference(case) is not _Difference.UID_FOR_ACCOUNT:
        return None
    return Explanation(
        f"The client joined or logged in as the account {_used(case)}; the token is for the "
        f"integer uid {_names(case)[0]}.",
        "Make the token for the account, or join with the integer; one channel cannot mix the two.",
    )


def _uid_zero_as_text(case: Case) -> Explanation | None:
    if case.product not in (None, Product.RTC):
        return None
    services = case.used if case.for_rtc else case.with_channel
    names = [service.user for service in services if service.user]
    if case.expected.user_account == _ZERO or not any(name.matches(_ZERO) for name in names):
        return None
    return explained(token_warnings.UID_ZERO_AS_TEXT)


def _uid_out_of_range(case: Case) -> Explanation | None:
    if not case.expected.is_uid_in_range:
        return Explanation(
            f"The client joined with the uid {case.expected.uid}; a uid is from 0 to {MAX_UID} "
            "(32 bits), so Agora does not receive this number.",
            "Use uids of 32 bits in the client and where the token is made, or string accounts.",
        )
    for service in case.rtc:
        text = service.user.text if service.user else None
        if text and _INTEGER.fullmatch(text) and not 0 <= int(text) <= MAX_UID:
            return Explanation(
                f"The token is for the uid {quoted(text)}; a uid is from 0 to {MAX_UID} (32 bits).",
                "Keep uids within 32 bits, in an unsigned type where the token is made.",
            )
    return None


def _needs_user(service: DecodedService) -> bool:
    """Tells whether it is not for an app: it has a user's privilege, or none at all."""
    rights = _USER_RIGHTS.get(service.type)
    return rights is not None and (not service.rights or bool(service.rights.keys() & rights))


def _user_empty(case: Case) -> Explanation | None:
    for service in case.used:
        if _needs_user(service) and service.user and service.user.matches(_ANYONE):
            return Explanation(
                f"The token's {SERVICES[service.type].name} user is empty: only RTC treats an "
                "empty user as any user.",
                "Pass the user who logs in where the token is made; check that the request's field "
                "has the name that the program reads.",
            )
    return None


def _rtm_user_misplaced(case: Case) -> Explanation | None:
    if not any(service.is_user_misplaced for service in case.decoded.services):
        return None
    return Explanation(
        "The token has its RTM user in the uid's place: a 006 RTM token has the user in the "
        "channel's place, and an empty uid.",
        'Make it with RtmTokenBuilder, or with AccessToken(appId, certificate, user, ""); or make '
        "a 007 token.",
    )


def _any_user(case: Case) -> Explanation | None:
    if not any(service.user and service.user.matches(_ANYONE) for service in case.with_channel):
        return None
    return Explanation(
        'The token admits everyone who has it: it was made for uid 0, or for the account "".',
        token_warnings.ANY_USER.advice,
    )


def _used(case: Case) -> str:
    expected = case.expected
    return quoted(expected.user_account or "") if expected.uid is None else f"uid {expected.uid}"


CHECKS: Final = (
    Check(FindingReason.RTM_USER_MISPLACED, Severity.ERROR, _rtm_user_misplaced),
    Check(FindingReason.USER_EMPTY, Severity.ERROR, _user_empty),
    Check(FindingReason.UID_ZERO_AS_TEXT, Severity.ERROR, _uid_zero_as_text),
    Check(FindingReason.UID_OUT_OF_RANGE, Severity.ERROR, _uid_out_of_range),
    Check(FindingReason.ACCOUNT_FOR_UID, Severity.ERROR, _account_for_uid),
    Check(FindingReason.UID_FOR_ACCOUNT, Severity.ERROR, _uid_for_account),
    Check(FindingReason.USER_SPELLING, Severity.ERROR, _user_spelling),
    Check(FindingReason.WRONG_USER, Severity.ERROR, _wrong_user),
    Check(FindingReason.CHAT_USER_ID_FORM, Severity.WARNING, _chat_user_id_form),
    Check(FindingReason.ANY_USER, Severity.WARNING, _any_user),
)
