"""Looks at who signed, and for which app."""

import re
from typing import Final

from token_authority_server.inspection.case import Case, Check, Explanation
from token_authority_server.inspection.findings import FindingReason, Severity
from token_authority_server.inspection.verify import Verdict
from token_authority_server.inspection.wording import quoted
from token_authority_server.keyring import AccessKey, KeyState, SigningKey

_ID: Final = re.compile(r"[0-9A-Fa-f]{32}")


def _named(case: Case) -> str:
    """Writes the id that the token names its key by."""
    kind = "App ID" if case.decoded.whiteboard is None else "access key"
    return f"{kind} {quoted(case.decoded.key_name)}"


def _belongs(key: SigningKey) -> str:
    if isinstance(key, AccessKey):
        return f"the access key {quoted(key.access_key)}"
    return f"the App ID {quoted(key.app_id)}"


def _secret_in_token(case: Case) -> Explanation | None:
    if not case.has_secret:
        return None
    return Explanation(
        "A secret of one of your keys stands in the token, where everyone who has the token can "
        "read it.",
        "Pass App ID, access key, channel and user in their own places where the token is made, "
        "and replace that key at once.",
    )


def _signed_with_other_key(case: Case) -> Explanation | None:
    if case.signature.made_by_other is None:
        return None
    project, key = case.signature.made_by_other
    return Explanation(
        f"The token names the {_named(case)}, and the {key.state} key {quoted(key.key_id)} of "
        f"project {quoted(project)}, which belongs to {_belongs(key)}, signed it.",
        "Configure id and secret of the same project where the token is made.",
    )


def _signature_wrong(case: Case) -> Explanation | None:
    signature = case.signature
    if signature.verdict is not Verdict.INVALID or signature.made_by_other:
        return None
    return Explanation(
        f"None of the keys configured for the {_named(case)} made the signature.",
        "Compare the secret where the token is made with the one in Agora's console: it may be "
        "another project's, an older one, or carry white space; if it is right, the token was "
        "altered.",
    )


def _key_unknown(case: Case) -> Explanation | None:
    signature = case.signature
    if signature.verdict is not Verdict.UNKNOWN_KEY or signature.made_by_other:
        return None
    return Explanation(
        f"There is no key here for the {_named(case)}, so the signature cannot be checked.",
        "Check whether that id is one of yours; if it is, add its keys to the server's "
        "configuration.",
    )


def _key_disabled(case: Case) -> Explanation | None:
    signature = case.signature
    if signature.key_state is not KeyState.DISABLED:
        return None
    return Explanation(
        f"The key {quoted(signature.key_id)} of project {quoted(signature.project)} signed the "
        "token, and it is disabled.",
        "Let tokens be signed with the project's active key, and take the disabled one away from "
        "whatever still signs with it.",
    )


def _key_retired(case: Case) -> Explanation | None:
    signature = case.signature
    if signature.key_state is not KeyState.VERIFY_ONLY:
        return None
    return Explanation(
        f"The key {quoted(signature.key_id)} of project {quoted(signature.project)} signed the "
        "token, and it is retired (verify_only).",
        "Agora accepts the token until that key is deleted in its console; let new ones be signed "
        "with the active key.",
    )


def _signature_unchecked(case: Case) -> Explanation | None:
    decoded, verdict = case.decoded, case.signature.verdict
    if decoded.format != "006" or decoded.sealed is None or verdict is not Verdict.UNVERIFIABLE:
        return None
    if decoded.sealed.fitting(case.expected.subjects()):
        # They were: what is lacking is a key.
        return None
    return Explanation(
        "A 006 token has its channel and user in the signature only, and those it was made for "
        "were not given.",
        "Give the channel and the user it was made for, or the user alone for RTM, to have the "
        "signature checked.",
    )


def _app_ids(case: Case) -> tuple[str, str]:
    """Returns the App IDs that were used and that the token names; "" where there is none.

    What stands there in a token that cannot be read may be anything.
    """
    decoded = case.decoded
    is_one = decoded.sealed is not None or _ID.fullmatch(decoded.app_id)
    return case.expected.app_id, decoded.app_id if is_one else ""


def _wrong_app_id(case: Case) -> Explanation | None:
    used, named = _app_ids(case)
    if not used or not named or used.strip().lower() == named.strip().lower():
        return None
    return Explanation(
        f"The token is for the App ID {quoted(named)}, and the SDK was initialised with "
        f"{quoted(used)}.",
        "Use the App ID of the same project on both sides.",
    )


def _app_id_spelling(case: Case) -> Explanation | None:
    used, named = _app_ids(case)
    if not used or not named or used == named or used.strip().lower() != named.strip().lower():
        return None
    return Explanation(
        f"The token is for the App ID {quoted(named)}, and the SDK was initialised with "
        f"{quoted(used)}: they differ in white space or case.",
        "Copy the App ID from Agora's console to both sides, and trim it where it is read.",
    )


def _app_id_malformed(case: Case) -> Explanation | None:
    decoded = case.decoded
    if decoded.format not in ("006", "007") or decoded.sealed is None:
        return None
    if _ID.fullmatch(decoded.app_id) or case.has_secret:
        return None
    return Explanation(
        f"The token's App ID is {quoted(decoded.app_id)}, which is not 32 hex digits.",
        "Copy the App ID from Agora's console to where the token is made.",
    )


CHECKS: Final = (
    Check(FindingReason.SECRET_IN_TOKEN, Severity.ERROR, _secret_in_token),
    Check(FindingReason.WRONG_APP_ID, Severity.ERROR, _wrong_app_id),
    Check(FindingReason.APP_ID_SPELLING, Severity.ERROR, _app_id_spelling),
    Check(FindingReason.APP_ID_MALFORMED, Severity.ERROR, _app_id_malformed),
    Check(FindingReason.SIGNED_WITH_OTHER_KEY, Severity.ERROR, _signed_with_other_key),
    Check(FindingReason.SIGNATURE_WRONG, Severity.ERROR, _signature_wrong),
    Check(FindingReason.KEY_DISABLED, Severity.ERROR, _key_disabled),
    Check(FindingReason.KEY_RETIRED, Severity.WARNING, _key_retired),
    Check(FindingReason.KEY_UNKNOWN, Severity.WARNING, _key_unknown),
    Check(FindingReason.SIGNATURE_UNCHECKED, Severity.WARNING, _signature_unchecked),
)
