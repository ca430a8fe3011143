"""Runs every check on a case. Pure."""

from collections.abc import Sequence
from typing import Final

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


def diagnose(case: Case) -> tuple[Finding, ...]:
    """Returns all findings, errors first."""
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
    return tuple(sorted(findings, key=lambda finding: finding.severity is not Severity.ERROR))
