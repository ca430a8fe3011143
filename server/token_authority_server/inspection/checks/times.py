"""Checks of the times at which the token and its privileges began and ended."""

from collections.abc import Mapping
from typing import Final

from token_authority_server.inspection.agora_errors import Product
from token_authority_server.inspection.case import Case, Check, Explanation, LastCheck
from token_authority_server.inspection.checks import lifetimes
from token_authority_server.inspection.findings import FindingReason, Severity
from token_authority_server.inspection.services import RTC, SERVICES
from token_authority_server.inspection.wording import end, moment, span

# Clocks that differ by less have no effect.
_SKEW_MS: Final = 30_000


def _has_wrong_unit(case: Case) -> bool:
    """Tells whether a number in a wrong unit explains the end, which is then no finding itself."""
    return case.decoded.format != "007" and any(
        check.check(case) is not None for check in lifetimes.CAUSES
    )


def _expired(case: Case) -> Explanation | None:
    decoded, expire_ms = case.decoded, case.expire_ms
    if decoded.end_ms is None or expire_ms is None or decoded.end_ms > case.at_ms:
        return None
    if _has_wrong_unit(case):
        return None
    each = "; ".join([f"{name} ended at {moment(ms)}" for name, ms in case.ends_ms.items()])
    return Explanation(
        f"The token had expired {span(case.at_ms - expire_ms)} before it was used: it was valid "
        f"{end(expire_ms, decoded.issue_ms)}{f' ({each})' if each else ''}.",
        _renewal(case),
    )


def _renewal(case: Case) -> str:
    """Describes how the product in use renews a token."""
    names = {service.name for service in case.used}
    if case.decoded.whiteboard is not None:
        return "Make a new token for each time a client enters, with a lifespan that fits its use."
    if case.product is Product.EDUCATION or names & {"Education"}:
        return "Fetch a new token and launch the classroom again with it."
    if names == {"FPA"}:
        return "Fetch a new token before this one expires."
    return (
        f"Fetch a new token before this one expires ({lifetimes.callback(case)}), and pass it to "
        "renewToken."
    )


def _join_ended(case: Case) -> Explanation | None:
    expire_ms, end_ms = case.expire_ms, case.decoded.end_ms
    if expire_ms is None or end_ms is None or not case.had_ended or end_ms <= case.at_ms:
        return None
    if _has_wrong_unit(case):
        return None
    ended = [name for name, ms in case.ends_ms.items() if ms <= case.at_ms]
    where = f" ({', '.join(ended)})" if ended else ""
    return Explanation(
        f"The privilege to join or log in{where} had ended at {moment(expire_ms)}, "
        f"{span(case.at_ms - expire_ms)} before it was used; the token itself has not expired.",
        "Give that privilege the lifetime of the token.",
    )


def _publish_ended(case: Case) -> Explanation | None:
    if case.had_ended or _has_wrong_unit(case):
        return None
    names = SERVICES[RTC].rights
    ended = [
        f"{names[right]} at {moment(end_ms)}"
        for service in case.used
        if service.type == RTC
        for right, end_ms in service.ends_ms.items()
        if right in names and end_ms <= case.at_ms
    ]
    if not ended:
        return None
    return Explanation(
        f"The token still joins, but privileges to publish had ended: {', '.join(ended[:3])}.",
        "Give the privileges to publish the lifetime of the token, or renew it before they end.",
    )


def _clock_skew(case: Case, found: Mapping[FindingReason, Severity]) -> Explanation | None:
    decoded = case.decoded
    if decoded.issue_ms is not None and decoded.issue_ms > case.at_ms + _SKEW_MS:
        return Explanation(
            f"The token was issued at {moment(decoded.issue_ms)}, "
            f"{span(decoded.issue_ms - case.at_ms)} after it was used.",
            "Synchronize the clocks with NTP, starting with the machine that makes tokens; use "
            "UTC: a wrong time zone has the same effect.",
        )
    if not case.is_called_expired or decoded.sealed is None or case.error is None:
        return None
    # Only an unexplained error suggests a wrong clock.
    if Severity.ERROR in found.values() or FindingReason.PUBLISH_ENDED in found:
        return None
    return Explanation(
        f"Agora reports that the token had expired ({case.error}), but it had not: a clock was "
        "probably wrong, or the client used an older token.",
        "Synchronize the clock of the machine that makes tokens with NTP; check that it reads the "
        "time for each token, and that the client passes the new token to renewToken.",
    )


CHECKS: Final = (
    *lifetimes.CAUSES,
    Check(FindingReason.EXPIRED, Severity.ERROR, _expired),
    Check(FindingReason.JOIN_ENDED, Severity.ERROR, _join_ended),
    Check(FindingReason.PUBLISH_ENDED, Severity.WARNING, _publish_ended),
    *lifetimes.CHECKS,
)
LAST_CHECKS: Final = (LastCheck(FindingReason.CLOCK_SKEW, Severity.ERROR, _clock_skew),)
