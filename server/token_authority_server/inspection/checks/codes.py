"""Checks for errors of Agora's SDKs that nothing in the token explains."""

from collections.abc import Mapping
from typing import Final

from token_authority_server.inspection.agora_errors import Meaning, Product
from token_authority_server.inspection.case import Case, Explanation, LastCheck
from token_authority_server.inspection.findings import FindingReason, Severity
from token_authority_server.inspection.reported_error import ReportedError
from token_authority_server.inspection.verify import Verdict

_ABOUT_THE_APP: Final = frozenset(
    [
        FindingReason.WRONG_APP_ID,
        FindingReason.APP_ID_SPELLING,
        FindingReason.APP_ID_MALFORMED,
        FindingReason.SECRET_IN_TOKEN,
        FindingReason.SECRET_EXPOSED,
    ]
)
# Warnings, because the token may work: and each may be why it was refused.
_MAY_EXPLAIN: Final = frozenset(
    [
        FindingReason.KEY_UNKNOWN,
        FindingReason.SIGNATURE_UNCHECKED,
        FindingReason.LEGACY_FORMAT_006,
        FindingReason.CHAT_USER_ID_FORM,
        FindingReason.ROOM_SPELLING,
        FindingReason.WILDCARD_PATTERN,
    ]
)
_Found = Mapping[FindingReason, Severity]


def _has_meaning(case: Case, meaning: Meaning) -> ReportedError | None:
    return case.error if case.error is not None and case.error.meaning is meaning else None


def _app_id_refused(case: Case, found: _Found) -> Explanation | None:
    error = _has_meaning(case, Meaning.APP_ID)
    if error is None or found.keys() & _ABOUT_THE_APP:
        return None
    if error.entry and error.entry.product is Product.CHAT:
        return Explanation(
            f"Chat does not know the App Key that the SDK was initialised with ({error}).",
            "Copy the App Key from the Chat page of the project in Agora's console.",
        )
    return Explanation(
        f"Agora does not know the App ID that the SDK was initialised with ({error}).",
        "Copy it from Agora's console, without white space, and check that the project is active.",
    )


def _certificate_not_enabled(case: Case, _: _Found) -> Explanation | None:
    error = _has_meaning(case, Meaning.NO_CERTIFICATE)
    if error is None:
        return None
    return Explanation(
        f"A token was sent, but the project has no App Certificate enabled ({error}).",
        "Enable the primary certificate in Agora's console and sign with it; or, in a project "
        "without one, join without a token.",
    )


def _token_not_sent(case: Case, _: _Found) -> Explanation | None:
    error = _has_meaning(case, Meaning.NO_TOKEN)
    if error is None:
        return None
    return Explanation(
        f"The project requires a token, and the client sent none ({error}): this token did not "
        "reach Agora.",
        "Pass the token to join or login, and check that the variable is not null, empty or the "
        "App ID at that moment.",
    )


def _refused_unexplained(case: Case, found: _Found) -> Explanation | None:
    error, expected = case.error, case.expected
    if not case.is_called_invalid or error is None:
        return None
    if Severity.ERROR in found.values() or found.keys() & _MAY_EXPLAIN:
        return None
    needs_channel = case.product in (None, Product.RTC)
    lacking = [
        name
        for name, is_given in (
            ("the App ID of the SDK", expected.app_id or case.decoded.whiteboard is not None),
            ("the channel", expected.channel_name or not needs_channel),
            ("the user", expected.user is not None),
        )
        if not is_given
    ]
    unchecked, compare = "", "Compare"
    if case.signature.verdict is not Verdict.VALID:
        unchecked = ", and its signature was not checked"
        compare = "Inspect it with a server that has the project's keys; compare"
    provide = f"Provide {_listed(lacking)} for a more specific diagnosis. " if lacking else ""
    return Explanation(
        f"Agora calls the token invalid ({error}), and nothing in it explains that{unchecked}.",
        f"{provide}{compare} App ID, channel and user with the values in the client, character by "
        "character; check that the signing key is still enabled in Agora's console, that the "
        "client's SDK reads this format, and that the client passed this token.",
    )


def _listed(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]


def _code_not_about_tokens(case: Case, _: _Found) -> Explanation | None:
    error = case.error
    if error is None:
        return None
    if error.entry is None:
        return Explanation(
            f"The error ({error}) is not known here.",
            "Look it up in the SDK's reference; if it is about tokens, provide its full text, or "
            "the product.",
        )
    if error.meaning is Meaning.RENEWAL:
        return Explanation(
            f"The error ({error}) is about tokens only as an answer to renewToken: it means that "
            f"{error.entry.explanation}.",
            "Inspect the token that was passed to renewToken; if the error came from another "
            "call, look it up in the SDK's reference.",
        )
    if error.meaning is Meaning.OTHER:
        return Explanation(
            f"The error ({error}) is not about the token: it means that {error.entry.explanation}.",
            "Look it up in the SDK's reference.",
        )
    return None


CHECKS: Final = (
    LastCheck(FindingReason.CERTIFICATE_NOT_ENABLED, Severity.ERROR, _certificate_not_enabled),
    LastCheck(FindingReason.TOKEN_NOT_SENT, Severity.ERROR, _token_not_sent),
    LastCheck(FindingReason.APP_ID_REFUSED, Severity.ERROR, _app_id_refused),
    LastCheck(FindingReason.REFUSED_UNEXPLAINED, Severity.ERROR, _refused_unexplained),
    LastCheck(FindingReason.CODE_NOT_ABOUT_TOKENS, Severity.WARNING, _code_not_about_tokens),
)
