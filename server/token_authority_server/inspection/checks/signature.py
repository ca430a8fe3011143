"""Checks of the signature, and of the App ID."""

import re
from typing import Final

from token_authority_server.inspection.case import Case, Check, Explanation
from token_authority_server.inspection.findings import FindingReason, Severity
from token_authority_server.inspection.verify import Verdict
from token_authority_server.inspection.wording import quoted
from token_authority_server.keyring import AccessKey, KeyState, SigningKey

_ID: Final = re.compile(r"[0-9A-Fa-f]{32}")


def _named(case: Case) -> str:
    """Describes the id in the token that names its key."""
    kind = "App ID" if case.decoded.whiteboard is None else "access key"
    return f"{kind} {quoted(case.decoded.key_name)}"


def _owner(key: SigningKey) -> str:
    if isinstance(key, AccessKey):
        return f"access key {quoted(key.access_key)}"
    return f"App ID {quoted(key.app_id)}"


def _secret_in_token(case: Case) -> Explanation | None:
    if not case.has_secret:
        return None
    return Explanation(
        "The token contains the secret of one of your keys, readable by everyone who has the "
        "token.",
        "Replace that key now, and pass App ID, access key, channel and user in their own "
        "arguments where the token is made.",
    )


def _signed_with_other_key(case: Case) -> Explanation | None:
    if case.signature.made_by_other is None:
        return None
    project, key = case.signature.made_by_other
    return Explanation(
        f"The token has the {_named(case)}, but is signed with the {key.state} key "
        f"{quoted(key.key_id)} of project {quoted(project)}, which belongs to the {_owner(key)}.",
        "Configure the id and the secret of the same project where the token is made.",
    )


def _signature_wrong(case: Case) -> Explanation | None:
    signature = case.signature
    if signature.verdict is not Verdict.INVALID or signature.made_by_other:
        return None
    return Explanation(
        f"The token is not signed with any key configured for the {_named(case)}.",
        "Compare the secret where the token is made with the one in Agora's console: it may be "
        "another project's, an older one, or have white space around it. If it is the same, the "
        "token was altered.",
    )


def _key_unknown(case: Case) -> Explanation | None:
    signature = case.signature
    if signature.verdict is not Verdict.UNKNOWN_KEY or signature.made_by_other:
        return None
    return Explanation(
        f"No key is configured here for the {_named(case)}, so the signature was not checked.",
        "Check that the id is one of yours; if it is, add its keys to the server's configuration.",
    )


def _key_disabled(case: Case) -> Explanation | None:
    signature = case.signature
    if signature.key_state is not KeyState.DISABLED:
        return None
    return Explanation(
        f"The token is signed with the key {quoted(signature.key_id)} of project "
        f"{quoted(signature.project)}, which is disabled.",
        "Sign with the project's active key, and remove the disabled one from the program that "
        "still uses it.",
    )


def _key_retired(case: Case) -> Explanation | None:
    signature = case.signature
    if signature.key_state is not KeyState.VERIFY_ONLY:
        return None
    return Explanation(
        f"The token is signed with the key {quoted(signature.key_id)} of project "
        f"{quoted(signature.project)}, which is retired (verify_only).",
        "Sign new tokens with the active key; Agora accepts this one until the key is deleted in "
        "its console.",
    )


def _signature_unchecked(case: Case) -> Explanation | None:
    decoded, verdict = case.decoded, case.signature.verdict
    if decoded.format != "006" or decoded.sealed is None or verdict is not Verdict.UNVERIFIABLE:
        return None
    if decoded.sealed.fitting(case.expected.subjects()):
        # They were given; a key is missing.
        return None
    return Explanation(
        "The signature was not checked: it covers the channel and user. A 006 token does not "
        "contain them, and those that it was made for were not provided.",
        "Provide the channel and the user that the token was made for, or for RTM the user alone.",
    )


def _app_ids(case: Case) -> tuple[str, str]:
    """Returns the App IDs of the client and of the token; "" if there is none.

    In a token that cannot be read, there may be any text in its place.
    """
    decoded = case.decoded
    is_one = decoded.sealed is not None or _ID.fullmatch(decoded.app_id)
    return case.expected.app_id, decoded.app_id if is_one else ""


def _wrong_app_id(case: Case) -> Explanation | None:
    used, named = _app_ids(case)
    if not used or not named or used.strip().lower() == named.strip().lower():
        return None
    return Explanation(
        f"The token is for the App ID {quoted(named)}; the SDK was initialised with "
        f"{quoted(used)}.",
        "Use the App ID of the same project in the client and where the token is made.",
    )


def _app_id_spelling(case: Case) -> Explanation | None:
    used, named = _app_ids(case)
    if not used or not named or used == named or used.strip().lower() != named.strip().lower():
        return None
    return Explanation(
        f"The token is for the App ID {quoted(named)}; the SDK was initialised with "
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
        f"The token's App ID is {quoted(decoded.app_id)}; an App ID has 32 hex digits.",
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
