"""Says what an error code means that nothing in the token explains."""

from typing import Final

from token_authority_server.inspection.case import (
    INVALID_CODES,
    RTC_CODES,
    RTM_CODES,
    Case,
    LastCheck,
    Words,
)
from token_authority_server.inspection.reasons import Reason, Severity

_ABOUT_THE_APP: Final = frozenset(
    [
        Reason.WRONG_APP_ID,
        Reason.APP_ID_SPELLING,
        Reason.APP_ID_MALFORMED,
        Reason.SECRET_IN_TOKEN,
    ]
)


def _app_id_refused(case: Case, found: frozenset[Reason]) -> Words | None:
    if case.expected.error_code != 101 or found & _ABOUT_THE_APP:
        return None
    return Words(
        "Agora does not know the App ID that the SDK was initialised with (code 101).",
        "Copy it from Agora's console, without white space, and check that the project is active.",
    )


def _certificate_not_enabled(case: Case, _: frozenset[Reason]) -> Words | None:
    if case.expected.error_code != 119:
        return None
    return Words(
        "A token was sent, and the project has no App Certificate enabled (code 119).",
        "Enable the primary certificate in Agora's console, and sign with it; or, in a project "
        "without one, join with no token.",
    )


def _refused_unexplained(case: Case, found: frozenset[Reason]) -> Words | None:
    code, expected = case.expected.error_code, case.expected
    if code not in INVALID_CODES or found:
        return None
    lacking = [
        name
        for name, is_given in (
            ("the App ID of the SDK", expected.app_id),
            ("the channel", expected.channel_name or case.for_rtm),
            ("the user", expected.user is not None),
        )
        if not is_given
    ]
    more = f" To say more takes {' and '.join(lacking)}." if lacking else ""
    return Words(
        f"Agora calls the token invalid (code {code}), and nothing in it explains that.{more}",
        "Compare App ID, channel and user with what the client really used, to the letter; check "
        "that the key that signed is still enabled in Agora's console, that the client's SDK "
        "reads this format, and that it was this token that the client passed.",
    )


def _code_not_about_tokens(case: Case, _: frozenset[Reason]) -> Words | None:
    code = case.expected.error_code
    if not code or code in RTC_CODES or code in RTM_CODES:
        return None
    return Words(
        f"Code {code} is none of those that Agora gives for tokens: 101, 109, 110, 118 and 119 for "
        "RTC, 5 and 6 for RTM.",
        "Look the code up in the SDK's reference.",
    )


CHECKS: Final = (
    LastCheck(Reason.CERTIFICATE_NOT_ENABLED, Severity.ERROR, _certificate_not_enabled),
    LastCheck(Reason.APP_ID_REFUSED, Severity.ERROR, _app_id_refused),
    LastCheck(Reason.REFUSED_UNEXPLAINED, Severity.ERROR, _refused_unexplained),
    LastCheck(Reason.CODE_NOT_ABOUT_TOKENS, Severity.WARNING, _code_not_about_tokens),
)
