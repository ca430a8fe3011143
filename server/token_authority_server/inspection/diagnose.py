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
from token_authority_server.inspection.reasons import Finding, Reason, Severity

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
    for reason, severity, look in CHECKS:
        if words := look(case):
            findings.append(Finding(reason, severity, *words))
    for reason, severity, look_last in LAST_CHECKS:
        found: dict[Reason, Severity] = {finding.reason: finding.severity for finding in findings}
        if words := look_last(case, found):
            findings.append(Finding(reason, severity, *words))
    return tuple(sorted(findings, key=lambda finding: finding.severity is not Severity.ERROR))
