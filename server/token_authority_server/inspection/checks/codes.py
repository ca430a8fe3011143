"""Says what an error code means that nothing in the token explains."""

from collections.abc import Mapping
from typing import Final

from token_authority_server.inspection.case import (
    RENEWAL_CODES,
    RTC_CODES,
    Case,
    Explanation,
    LastCheck,
)
from token_authority_server.inspection.findings import FindingReason, Severity
from token_authority_server.inspection.verify import Verdict

_ABOUT_THE_APP: Final = frozenset(
    [
        FindingReason.WRONG_APP_ID,
        FindingReason.APP_ID_SPELLING,
        FindingReason.APP_ID_MALFORMED,
        FindingReason.SECRET_IN_TOKEN,
    ]
)
# Warnings, for the token may work; and enough to refuse it where it does not.
_MAY_EXPLAIN: Final = frozenset(
    [
        FindingReason.WHITESPACE,
        FindingReason.QUOTED,
        FindingReason.URL_ENCODED,
        FindingReason.SURROUNDED,
        FindingReason.KEY_UNKNOWN,
        FindingReason.SIGNATURE_UNCHECKED,
        FindingReason.LEGACY_FORMAT_006,
    ]
)
_Found = Mapping[FindingReason, Severity]


def _app_id_refused(case: Case, found: _Found) -> Explanation | None:
    if case.expected.error_code != 101 or found.keys() & _ABOUT_THE_APP:
        return None
    return Explanation(
        "Agora does not know the App ID that the SDK was initialised with (code 101).",
        "Copy it from Agora's console, without white space, and check that the project is active.",
    )


def _certificate_not_enabled(case: Case, _: _Found) -> Explanation | None:
    if case.expected.error_code != 119:
        return None
    return Explanation(
        "A token was sent, and the project has no App Certificate enabled (code 119).",
        "Enable the primary certificate in Agora's console, and sign with it; or, in a project "
        "without one, join with no token.",
    )


def _refused_unexplained(case: Case, found: _Found) -> Explanation | None:
    code, expected = case.expected.error_code, case.expected
    if not case.is_called_invalid:
        return None
    if Severity.ERROR in found.values() or found.keys() & _MAY_EXPLAIN:
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
    unchecked, compare = "", "Compare"
    if case.signature.verdict is not Verdict.VALID:
        unchecked = ", and its signature was not checked"
        compare = "Inspect it with a server that has the project's keys; compare"
    more = f" To say more takes {' and '.join(lacking)}." if lacking else ""
    return Explanation(
        f"Agora calls the token invalid (code {code}), and nothing in it explains "
        f"that{unchecked}.{more}",
        f"{compare} App ID, channel and user with what the client really used, to the letter; "
        "check that the key that signed is still enabled in Agora's console, that the client's SDK "
        "reads this format, and that it was this token that the client passed.",
    )


def _code_not_about_tokens(case: Case, _: _Found) -> Explanation | None:
    code = case.expected.error_code
    if not code or code in RTC_CODES or case.for_rtm:
        return None
    if code in RENEWAL_CODES:
        return Explanation(
            f"Code {code} is about tokens only where renewToken answers it: there it says that the "
            f"new token {RENEWAL_CODES[code]}.",
            "Inspect the token that was passed to renewToken; if the code came from elsewhere, "
            "look it up in the SDK's reference.",
        )
    return Explanation(
        f"Code {code} is none of those that Agora gives for tokens: 101, 109, 110, 118 and 119 for "
        "RTC, 5 and 6, or -10005 and -10009, for RTM.",
        "Look the code up in the SDK's reference.",
    )


CHECKS: Final = (
    LastCheck(FindingReason.CERTIFICATE_NOT_ENABLED, Severity.ERROR, _certificate_not_enabled),
    LastCheck(FindingReason.APP_ID_REFUSED, Severity.ERROR, _app_id_refused),
    LastCheck(FindingReason.REFUSED_UNEXPLAINED, Severity.ERROR, _refused_unexplained),
    LastCheck(FindingReason.CODE_NOT_ABOUT_TOKENS, Severity.WARNING, _code_not_about_tokens),
)
