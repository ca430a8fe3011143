"""Says what is wrong with a token, or will surprise: runs every check, the worst first. Pure."""

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

# In the order of the answer, among findings that matter alike.
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
    """Returns everything that the checks find."""
    findings: list[Finding] = []
    for reason, severity, check in CHECKS:
        if explanation := check(case):
            findings.append(Finding(reason, severity, *explanation))
    for reason, severity, last_check in LAST_CHECKS:
        found: dict[FindingReason, Severity] = {
            finding.reason: finding.severity for finding in findings
        }
        if explanation := last_check(case, found):
            findings.append(Finding(reason, severity, *explanation))
    return tuple(sorted(findings, key=lambda finding: finding.severity is not Severity.ERROR))
