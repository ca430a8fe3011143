"""Looks at what decoding came across: the text, and how the token was made."""

from collections.abc import Callable
from typing import Final

from token_authority_server.inspection.case import Case, Check, Explanation
from token_authority_server.inspection.findings import FindingReason, Severity

_COPY_AGAIN: Final = (
    "Copy it again from where it was made, and look for what shortens it on the way."
)


def _marked(
    reason: FindingReason, problem: str, advice: str
) -> Callable[[Case], Explanation | None]:
    """Says it of tokens with a mark, whose detail takes the place of {}."""

    def check(case: Case) -> Explanation | None:
        detail = case.decoded.issues.get(reason)
        return None if detail is None else Explanation(problem.replace("{}", detail), advice)

    return check


def _check(reason: FindingReason, severity: Severity, problem: str, advice: str) -> Check:
    return Check(reason, severity, _marked(reason, problem, advice))


CHECKS: Final = (
    _check(
        FindingReason.NOT_A_TOKEN,
        Severity.ERROR,
        "This is not an Agora token: those start with 006, 007, NETLESSSDK_, NETLESSROOM_ or "
        "NETLESSTASK_.",
        "Find out what the token's maker answered: an error, or an empty text, is often passed on "
        "as if it were a token; so is an App ID, a temporary key or a JWT.",
    ),
    _check(
        FindingReason.TOO_LARGE,
        Severity.ERROR,
        "The token {}: no real one is that large, and it was not read further.",
        "Use a token that one of Agora's libraries, or this server, made.",
    ),
    _check(
        FindingReason.TRUNCATED, Severity.ERROR, "The end of the token is missing.", _COPY_AGAIN
    ),
    _check(
        FindingReason.BAD_CHARACTER,
        Severity.ERROR,
        "The token has {} where its encoding can have no such character.",
        "Pass the token on letter by letter, as it was made: do not write it in the URL-safe "
        "alphabet, and let nothing replace characters.",
    ),
    _check(
        FindingReason.DAMAGED,
        Severity.ERROR,
        "The token is damaged: characters in it were changed, lost or added.",
        "Copy it again from where it was made; mind that its letters are case-sensitive.",
    ),
    _check(
        FindingReason.CORRUPT,
        Severity.ERROR,
        "The token contradicts itself: {}.",
        "Make it with one of Agora's current libraries, or with this server: some libraries write "
        "such tokens when a text is too long for the format.",
    ),
    _check(
        FindingReason.SPACES_FOR_PLUS,
        Severity.ERROR,
        "The token has spaces where it had plus signs: it went through a URL or a form without "
        "being encoded. It was read with the plus signs.",
        "Percent-encode the token (encodeURIComponent) where it goes into a URL or a form.",
    ),
    _check(
        FindingReason.WHITESPACE,
        Severity.WARNING,
        "White space or line breaks stand around or in the token. It was read without them.",
        "Make sure that the client passes the token without them: Agora does not.",
    ),
    _check(
        FindingReason.QUOTED,
        Severity.WARNING,
        "The token is quoted or escaped. It was read without that.",
        "Make sure that the client parses the JSON it got, and passes the bare token.",
    ),
    _check(
        FindingReason.URL_ENCODED,
        Severity.WARNING,
        "The token is percent-encoded. It was read decoded.",
        "Make sure that the client decodes it once before it passes it to the SDK.",
    ),
    _check(
        FindingReason.SURROUNDED,
        Severity.WARNING,
        "Other text stands around the token. It was read without that.",
        "Make sure that the client passes the token alone, without a label or a scheme.",
    ),
    _check(
        FindingReason.FIELD_REPEATED,
        Severity.ERROR,
        "The token names a field twice; which of the two counts is anyone's guess. Here, the last "
        "does.",
        "Make it with one of Agora's libraries, or with this server.",
    ),
    _check(
        FindingReason.UNKNOWN_SERVICE,
        Severity.WARNING,
        "The token has a service of type {}, which is not known here; nothing behind it was read.",
        "Look up that type in the current version of Agora's AccessToken2.",
    ),
    _check(
        FindingReason.UNREAD_BYTES,
        Severity.WARNING,
        "The token goes on behind its last value (bytes: {}).",
        "Make it with one of Agora's libraries, or with this server, if it is refused.",
    ),
    _check(
        FindingReason.TOO_MANY_VALUES,
        Severity.WARNING,
        "The token holds more values than any real one; {} or more were not read.",
        "Give the token fewer resources, or spread them over several tokens.",
    ),
    _check(
        FindingReason.NOT_UTF8,
        Severity.WARNING,
        "Text in the token is not UTF-8; it is shown with replacement characters.",
        "Encode channel names, users and rooms as UTF-8 where the token is made.",
    ),
)
