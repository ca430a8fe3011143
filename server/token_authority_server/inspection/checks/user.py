"""Looks at the user that the token is for."""

import re
from enum import Enum, auto
from typing import Final

from token_authority_server.inspection.case import Case, Check, Explanation
from token_authority_server.inspection.decoded import Name
from token_authority_server.inspection.findings import FindingReason, Severity
from token_authority_server.inspection.wording import quoted

_INTEGER: Final = re.compile(r"-?[0-9]{1,30}")
_MAX_UID: Final = 2**32 - 1
# As tokens write them: "" admits anyone; "0" is an account like any other.
_ANYONE: Final = ""
_ZERO: Final = "0"


class _Difference(Enum):
    """How the user of the token and the one who used it differ."""

    SPELLING = auto()
    ACCOUNT_FOR_UID = auto()
    UID_FOR_ACCOUNT = auto()
    ANOTHER = auto()


def _names(case: Case) -> list[Name]:
    """Returns the users that the token is for, in what it was used for."""
    return [service.user for service in case.used if service.user]


def _difference(case: Case) -> _Difference | None:
    """Tells how they differ; None where the token admits the user, or none is known."""
    used, names = case.expected.user, _names(case)
    if used is None or not names or any(name.matches(_ANYONE) for name in names):
        return None
    # The integer 0 is never written "0": that is an account, and has a check of its own.
    if _uid_zero_as_text(case) or any(name.matches(used) for name in names):
        return None
    if any(name.resembles(used) for name in names):
        return _Difference.SPELLING
    return _of_another_kind(case, used) or _Difference.ANOTHER


def _of_another_kind(case: Case, used: str) -> _Difference | None:
    """Tells whether one is an integer and the other an account, which only channels tell apart.

    006 keeps nothing to tell it by.
    """
    users = [service.user for service in case.used if service.channel]
    texts = [user.text for user in users if user and user.text is not None]
    numbers = [_INTEGER.fullmatch(text) is not None for text in texts]
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
    if case.expected.uid == 0:
        return Explanation(
            f"The client joined with uid 0, for which Agora makes one up, and the token is for "
            f"{_names(case)[0]}.",
            "Let the client join with the uid that the token was made for.",
        )
    return Explanation(
        f"The client joined or logged in as {_used(case)}, and the token is for {_names(case)[0]}.",
        "Make the token for the very user who joins or logs in, and let the client pass it.",
    )


def _user_spelling(case: Case) -> Explanation | None:
    if _difference(case) is not _Difference.SPELLING:
        return None
    return Explanation(
        f"The client joined or logged in as {_used(case)}, and the token is for "
        f"{_names(case)[0]}: they differ in white space or case.",
        "Spell the user alike on both sides.",
    )


def _account_for_uid(case: Case) -> Explanation | None:
    if _difference(case) is not _Difference.ACCOUNT_FOR_UID:
        return None
    return Explanation(
        f"The client joined with the integer uid {case.expected.uid}, and the token is for the "
        f"string account {_names(case)[0]}.",
        "Make the token for the integer, or let the client join with the account "
        "(joinChannelWithUserAccount); one channel cannot mix the two.",
    )


def _uid_for_account(case: Case) -> Explanation | None:
    if _difference(case) is not _Difference.UID_FOR_ACCOUNT:
        return None
    return Explanation(
        f"The client joined or logged in as the account {_used(case)}, and the token is for the "
        f"integer uid {_names(case)[0]}.",
        "Make the token for the account, or let the client join with the integer; one channel "
        "cannot mix the two.",
    )


def _uid_zero_as_text(case: Case) -> Explanation | None:
    services = case.used if case.for_rtc else case.with_channel
    names = [service.user for service in services if service.user]
    if case.expected.user_account == _ZERO or not any(name.matches(_ZERO) for name in names):
        return None
    return Explanation(
        'The token is for the account "0". The integer 0 would admit anyone; the text "0" does '
        "not.",
        "Pass the integer 0 to the function that takes integers, or, better, the user's own uid.",
    )


def _uid_out_of_range(case: Case) -> Explanation | None:
    for service in case.rtc:
        text = service.user.text if service.user else None
        if text and _INTEGER.fullmatch(text) and not 0 <= int(text) <= _MAX_UID:
            return Explanation(
                f"The token is for the uid {quoted(text)}, which is not from 0 to {_MAX_UID}.",
                "Keep uids within 32 bits, and in an unsigned type where the token is made.",
            )
    return None


def _any_user(case: Case) -> Explanation | None:
    if not any(service.user and service.user.matches(_ANYONE) for service in case.with_channel):
        return None
    return Explanation(
        'The token admits anyone who holds it: it was made for uid 0, or for the account "".',
        "Make it for the uid or account that joins, unless that is wanted.",
    )


def _used(case: Case) -> str:
    expected = case.expected
    return quoted(expected.user_account or "") if expected.uid is None else f"uid {expected.uid}"


CHECKS: Final = (
    Check(FindingReason.UID_ZERO_AS_TEXT, Severity.ERROR, _uid_zero_as_text),
    Check(FindingReason.ACCOUNT_FOR_UID, Severity.ERROR, _account_for_uid),
    Check(FindingReason.UID_FOR_ACCOUNT, Severity.ERROR, _uid_for_account),
    Check(FindingReason.USER_SPELLING, Severity.ERROR, _user_spelling),
    Check(FindingReason.UID_OUT_OF_RANGE, Severity.ERROR, _uid_out_of_range),
    Check(FindingReason.WRONG_USER, Severity.ERROR, _wrong_user),
    Check(FindingReason.ANY_USER, Severity.WARNING, _any_user),
)
