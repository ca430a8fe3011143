"""Says what is wrong with a token, or will surprise: runs every check, the worst first. Pure."""

from collections.abc import Sequence
from typing import Final

from token_authority_server.inspection.case import Case, Check
from token_authority_server.inspection.checks import (
    channel,
    codes,
    paste,
    product,
    signature,
    times,
    user,
)
from token_authority_server.inspection.reasons import Finding, Severity

# In the order of the answer, among findings that matter alike.
CHECKS: Final[Sequence[Check]] = (
    *paste.CHECKS,
    *signature.CHECKS,
    *product.CHECKS,
    *channel.CHECKS,
    *user.CHECKS,
    *times.CHECKS,
)


def diagnose(case: Case) -> tuple[Finding, ...]:
    """Returns everything that the checks find."""
    findings: list[Finding] = []
    for reason, severity, look in CHECKS:
        if words := look(case):
            findings.append(Finding(reason, severity, *words))
    errors = frozenset(
        [finding.reason for finding in findings if finding.severity is Severity.ERROR]
    )
    for reason, severity, look_last in codes.CHECKS:
        if words := look_last(case, errors):
            findings.append(Finding(reason, severity, *words))
    return tuple(sorted(findings, key=lambda finding: finding.severity is not Severity.ERROR))
