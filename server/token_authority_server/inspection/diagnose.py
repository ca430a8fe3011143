"""Runs every check on a case. Pure."""

from collections.abc import Mapping, Sequence
from typing import Final

from token_authority_server.inspection.agora_errors import Meaning
from token_authority_server.inspection.case import Case, Check, LastCheck
from token_authority_server.inspection.checks import (
    channel,
    codes,
    paste,
    product,
    signature,
    times,
    user,
)
from token_authority_server.inspection.findings import Finding, FindingReason, Severity

# The order of the answer among findings of the same severity: causes before consequences.
CHECKS: Final[Sequence[Check]] = (
    *paste.CHECKS,
    *signature.CHECKS,
    *product.CHECKS,
    *channel.CHECKS,
    *user.CHECKS,
    *times.CHECKS,
)
LAST_CHECKS: Final[Sequence[LastCheck]] = (*times.LAST_CHECKS, *codes.CHECKS)


_ALWAYS_FIRST: Final = frozenset([FindingReason.SECRET_EXPOSED])
# The findings that explain what Agora reported come before the others.
_EXPLAINING: Final[Mapping[Meaning, frozenset[FindingReason]]] = {
    Meaning.EXPIRED: frozenset(
        [
            FindingReason.SECONDS_AS_EPOCH,
            FindingReason.ENDS_BEFORE_ISSUE,
            FindingReason.EXPIRY_IN_SECONDS,
            FindingReason.LIFESPAN_IN_SECONDS,
            FindingReason.EXPIRED,
            FindingReason.JOIN_ENDED,
            FindingReason.ZERO_LIFE,
        ]
    ),
    Meaning.APP_ID: frozenset(
        [
            FindingReason.WRONG_APP_ID,
            FindingReason.APP_ID_SPELLING,
            FindingReason.APP_ID_MALFORMED,
            FindingReason.APP_ID_REFUSED,
        ]
    ),
    Meaning.NO_TOKEN: frozenset([FindingReason.TOKEN_NOT_SENT]),
    Meaning.NO_CERTIFICATE: frozenset([FindingReason.CERTIFICATE_NOT_ENABLED]),
}


def diagnose(case: Case) -> tuple[Finding, ...]:
    """Returns all findings: errors first, and among them those that explain the reported error."""
    findings: list[Finding] = []
    for reason, severity, check in CHECKS:
        if found := check(case):
            findings.append(
                Finding(reason, found.severity or severity, found.problem, found.advice)
            )
    for reason, severity, last_check in LAST_CHECKS:
        so_far: dict[FindingReason, Severity] = {
            finding.reason: finding.severity for finding in findings
        }
        if found := last_check(case, so_far):
            findings.append(
                Finding(reason, found.severity or severity, found.problem, found.advice)
            )
    meaning = case.error.meaning if case.error else None
    explaining = _EXPLAINING.get(meaning, _ALWAYS_FIRST) if meaning else _ALWAYS_FIRST
    return tuple(
        sorted(
            findings,
            key=lambda finding: (
                finding.severity is not Severity.ERROR,
                finding.reason not in _ALWAYS_FIRST,
                finding.reason not in explaining,
            ),
        )
    )
