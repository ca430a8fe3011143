"""Checks for what decoding recorded: the pasted text, and how the token was made."""

from collections.abc import Callable
from typing import Final

from token_authority_server.inspection.case import Case, Check, Explanation
from token_authority_server.inspection.exposure import Credential, ExposedSecret
from token_authority_server.inspection.findings import FindingReason, Severity
from token_authority_server.inspection.wording import quoted

_COPY_AGAIN: Final = "Copy the token again from where it was made, and find out what truncates it."
_MAKE_AGAIN: Final = "Make the token with one of Agora's current libraries or with this server."
_ROTATE: Final = (
    'Rotate it now: set state = "disabled" for that key in the configuration, activate its '
    "successor, then disable the leaked key in Agora's console (SECURITY.md, \"When a certificate "
    'has leaked").'
)
_ROTATE_ENCRYPTION: Final = (
    'Rotate it now: add another secret, set state = "disabled" for this one in the configuration, '
    "and restart the meetings in progress. The leaked secret decrypts the media of every meeting "
    "that used it."
)
_REPLACE_API_KEY: Final = (
    "Replace it now: make another with `token-authority api-key new`, and remove this one's "
    "identity from the configuration."
)
_REVOKE_JWT: Final = (
    "Treat it as leaked: revoke it at its identity provider, or wait until it expires. Pass the "
    "Agora token here, not the caller's credential."
)


def _secret_exposed(case: Case) -> Explanation | None:
    if not case.exposed:
        return None
    # A signing secret matters most.
    secret = min(case.exposed, key=lambda exposed: list(Credential).index(exposed.credential))
    advice = {
        Credential.API_KEY: _REPLACE_API_KEY,
        Credential.ENCRYPTION_SECRET: _ROTATE_ENCRYPTION,
        Credential.JWT: _REVOKE_JWT,
    }
    return Explanation(
        f"{secret.place} is {_named(secret)}.", advice.get(secret.credential, _ROTATE)
    )


def _named(secret: ExposedSecret) -> str:
    if secret.credential is Credential.API_KEY:
        return "an API key, with which a caller authenticates to a token authority"
    if secret.credential is Credential.JWT:
        return "a JWT, with which a caller authenticates, and not an Agora token"
    if secret.credential is Credential.ENCRYPTION_SECRET:
        of = f" {quoted(secret.key_id)} of project {quoted(secret.project)}"
        return f"an encryption secret of this authority{of if secret.is_named else ''}"
    if not secret.is_named:
        return "a signing secret of this authority"
    return (
        f"a signing secret: the {secret.credential} {quoted(secret.key_id)} of project "
        f"{quoted(secret.project)}"
    )


def _not_a_token(case: Case) -> Explanation | None:
    is_secret = any(exposed.place == IN_TOKEN for exposed in case.exposed)
    if FindingReason.NOT_A_TOKEN not in case.decoded.issues or is_secret:
        return None
    return Explanation(
        "This is not an Agora token: those start with 006, 007, NETLESSSDK_, NETLESSROOM_ or "
        "NETLESSTASK_.",
        "Look at the response of the program that makes tokens: an error message, an empty text "
        "or an App ID is often passed on as if it were a token.",
    )


def _several_tokens(case: Case) -> Explanation | None:
    types = case.token_types
    if not types:
        return None
    return Explanation(
        f"The text contains {len(types)} tokens: {', '.join(types)}. These findings are about "
        f"{case.decoded.kind}; the others follow.",
        "Pass to each SDK the token of its product, alone.",
    )


def _recorded(
    reason: FindingReason, problem: str, advice: str, *, explains_refusal: bool
) -> Callable[[Case], Explanation | None]:
    """Returns the check for an issue of decoding, whose detail replaces {}."""

    def check(case: Case) -> Explanation | None:
        detail = case.decoded.issues.get(reason)
        if detail is None:
            return None
        # Several tokens come from a server's response: the client hardly passed all of it.
        is_error = explains_refusal and case.is_called_invalid and not case.token_types
        return Explanation(
            problem.replace("{}", detail), advice, Severity.ERROR if is_error else None
        )

    return check


def _check(
    reason: FindingReason,
    severity: Severity,
    problem: str,
    advice: str,
    *,
    explains_refusal: bool = False,
) -> Check:
    recorded = _recorded(reason, problem, advice, explains_refusal=explains_refusal)
    return Check(reason, severity, recorded)


IN_TOKEN: Final = "The text pasted as the token"  # noqa: S105  # not a secret

CHECKS: Final = (
    Check(FindingReason.SECRET_EXPOSED, Severity.ERROR, _secret_exposed),
    _check(
        FindingReason.RETIRED_FORMAT,
        Severity.ERROR,
        "This is a {}, a format that Agora has retired: current SDKs do not accept it.",
        "Make a 007 token (AccessToken2) instead.",
    ),
    Check(FindingReason.NOT_A_TOKEN, Severity.ERROR, _not_a_token),
    _check(
        FindingReason.TOO_LARGE,
        Severity.ERROR,
        "The token {}; no real token does, and the rest was not read.",
        _MAKE_AGAIN,
    ),
    _check(
        FindingReason.TRUNCATED, Severity.ERROR, "The end of the token is missing.", _COPY_AGAIN
    ),
    _check(
        FindingReason.BAD_CHARACTER,
        Severity.ERROR,
        "The token has the character {}, which its encoding does not have.",
        "Pass the token unchanged: do not convert it to the URL-safe alphabet, and do not replace "
        "characters.",
    ),
    _check(
        FindingReason.DAMAGED,
        Severity.ERROR,
        "The token is damaged: characters in it were changed, lost or added.",
        "Copy the token again from where it was made; it is case-sensitive.",
    ),
    _check(
        FindingReason.CORRUPT,
        Severity.ERROR,
        "The content of the token is inconsistent: {}.",
        f"{_MAKE_AGAIN} Some libraries write such tokens when a text is too long for the format.",
    ),
    _check(
        FindingReason.SPACES_FOR_PLUS,
        Severity.ERROR,
        "The token has spaces in place of plus signs: it went through a URL or form without being "
        "encoded. It was read with plus signs.",
        "Percent-encode the token (encodeURIComponent) before it goes into a URL or form.",
    ),
    _check(
        FindingReason.WHITESPACE,
        Severity.WARNING,
        "White space or line breaks are around or inside the token. It was read without them.",
        "Trim the token in the client: Agora does not accept white space.",
        explains_refusal=True,
    ),
    _check(
        FindingReason.QUOTED,
        Severity.WARNING,
        "The token is quoted or has escapes. It was read without them.",
        "Parse the JSON in the client, and pass the bare token to the SDK.",
        explains_refusal=True,
    ),
    _check(
        FindingReason.URL_ENCODED,
        Severity.WARNING,
        "The token is percent-encoded. It was read decoded.",
        "Decode the token once in the client before passing it to the SDK.",
        explains_refusal=True,
    ),
    _check(
        FindingReason.SURROUNDED,
        Severity.WARNING,
        "Other text is around the token. It was read without that text.",
        "Pass the token alone to the SDK, without a label or scheme.",
        explains_refusal=True,
    ),
    Check(FindingReason.SEVERAL_TOKENS, Severity.WARNING, _several_tokens),
    _check(
        FindingReason.FIELD_REPEATED,
        Severity.ERROR,
        "The token has a field twice, and it is not defined which one counts. The last one is used "
        "here.",
        _MAKE_AGAIN,
    ),
    _check(
        FindingReason.UNKNOWN_SERVICE,
        Severity.WARNING,
        "The token has a service of type {}, which is not known here; nothing after it was read.",
        "Look up that type in the current version of Agora's AccessToken2.",
    ),
    _check(
        FindingReason.UNREAD_BYTES,
        Severity.WARNING,
        "The token has bytes after its last value ({}).",
        f"If Agora refuses it: {_MAKE_AGAIN[0].lower()}{_MAKE_AGAIN[1:]}",
    ),
    _check(
        FindingReason.TOO_MANY_VALUES,
        Severity.WARNING,
        "The token has more values than any real token; at least {} were not read.",
        "Give the token fewer resources, or spread them over several tokens.",
    ),
    _check(
        FindingReason.NOT_UTF8,
        Severity.WARNING,
        "Text in the token is not UTF-8; it is shown with replacement characters.",
        "Encode channel names, users and rooms as UTF-8 where the token is made.",
    ),
)
