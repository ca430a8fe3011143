"""Checks of lifetimes: numbers that were written in the wrong unit, too large or too small."""

from collections.abc import Iterator
from typing import Final

from token_authority_server.formats import token_warnings
from token_authority_server.inspection.agora_errors import Product
from token_authority_server.inspection.case import Case, Check, Explanation, explained
from token_authority_server.inspection.decoded import DAY_SECONDS
from token_authority_server.inspection.findings import FindingReason, Severity
from token_authority_server.inspection.services import JOIN, SERVICES, UNKNOWN
from token_authority_server.inspection.wording import moment, span

# As seconds, these are 31 years and 3 years: no lifetime is as long as the first, and no point in
# time since Agora was founded is as early as the second.
_EARLIEST_EPOCH: Final = 1_000_000_000
_LONGEST_LIFE: Final = 100_000_000
# As milliseconds, in 1973; as seconds, in the year 5138.
_EARLIEST_MS: Final = 100_000_000_000
_YEAR_MS: Final = 365 * DAY_SECONDS * 1000
# Twice the longest lifetime that this server signs; a point in time of today is 50 years and more.
_DECADES_MS: Final = 20 * _YEAR_MS
# The clock is read twice, for the nonce and for the end.
_JITTER_MS: Final = 20


def _numbers(case: Case) -> Iterator[int]:
    """Yields the times of the services in use, without privileges that are not known."""
    if case.decoded.expire_seconds is not None:
        yield case.decoded.expire_seconds
    for service in case.timed:
        names = SERVICES.get(service.type, UNKNOWN).rights
        yield from (number for right, number in service.rights.items() if right in names)


def _epoch_as_seconds(case: Case) -> Explanation | None:
    decoded = case.decoded
    if decoded.format != "007" or decoded.issue_ms is None:
        return None
    largest = max(_numbers(case), default=0)
    if largest < _EARLIEST_EPOCH:
        return None
    return Explanation(
        f"The token lasts until {moment(decoded.issue_ms + largest * 1000)}: 007 expects seconds "
        f"from issue, and {largest} is a point in time ({moment(largest * 1000)}).",
        "Pass the lifetime itself, e.g. 3600 for an hour, without adding the current time.",
    )


def _seconds_as_epoch(case: Case) -> Explanation | None:
    """Checks for a lifetime in 006. 0 is not one: Agora treats it as 24 hours."""
    if case.decoded.format != "006":
        return None
    smallest = min((number for number in _numbers(case) if number), default=_LONGEST_LIFE)
    if smallest >= _LONGEST_LIFE:
        return None
    return Explanation(
        f"The token has a privilege until {smallest} seconds after 1970: 006 expects a point in "
        "time, and this looks like a lifetime.",
        "Pass the current time plus the lifetime, in seconds since 1970.",
    )


def _ends_before_issue(case: Case) -> Explanation | None:
    decoded = case.decoded
    if decoded.format != "006" or decoded.issue_ms is None:
        return None
    numbers = [number for number in _numbers(case) if number >= _LONGEST_LIFE]
    smallest = min(numbers, default=decoded.issue_ms)
    if smallest * 1000 >= decoded.issue_ms:
        return None
    return Explanation(
        f"A privilege of the token ended at {moment(smallest * 1000)}, "
        f"{span(decoded.issue_ms - smallest * 1000)} before the token was issued.",
        "Where the token is made, read the current time for each token and add the lifetime to it.",
    )


def _expiry_in_seconds(case: Case) -> Explanation | None:
    decoded = case.decoded
    if decoded.whiteboard is None or decoded.expire_ms is None:
        return None
    if decoded.expire_ms >= _EARLIEST_MS:
        return None
    return Explanation(
        f"The token's expireAt is {decoded.expire_ms}: whiteboard tokens expect milliseconds, and "
        f"as seconds this is {moment(decoded.expire_ms * 1000)}.",
        "Pass the lifespan and the current time in milliseconds.",
    )


def _lifespan_in_seconds(case: Case) -> Explanation | None:
    """Checks for a whiteboard lifespan in seconds, if the nonce gives the issue time."""
    decoded = case.decoded
    if decoded.whiteboard is None or decoded.issue_ms is None or decoded.expire_ms is None:
        return None
    life_ms = decoded.expire_ms - decoded.issue_ms
    # Whole hours when read as seconds, or a few of ten minutes; and as milliseconds, an odd number.
    is_hours = 0 < life_ms <= DAY_SECONDS + _JITTER_MS and _is_near(life_ms, 3600)
    is_minutes = 0 < life_ms < 10_000 and _is_near(life_ms, 600) and not _is_near(life_ms, 1000)
    if not is_hours and not is_minutes:
        return None
    return Explanation(
        f"The token's lifespan is {life_ms} milliseconds, which looks like seconds "
        f"({span(life_ms * 1000)}).",
        "Pass the lifespan in milliseconds, e.g. 3600000 for an hour.",
    )


def _is_near(ms: int, unit: int) -> bool:
    return ms >= unit - _JITTER_MS and (ms + _JITTER_MS) % unit <= 2 * _JITTER_MS


def _epoch_as_lifespan(case: Case) -> Explanation | None:
    decoded = case.decoded
    if decoded.whiteboard is None or decoded.expire_ms is None:
        return None
    start_ms = case.at_ms if decoded.issue_ms is None else decoded.issue_ms
    if decoded.expire_ms - start_ms < _DECADES_MS:
        return None
    return Explanation(
        f"The token lasts until {moment(decoded.expire_ms)}, for "
        f"{span(decoded.expire_ms - start_ms)}: a point in time was probably passed as the "
        "lifespan.",
        "Pass the lifespan itself in milliseconds, e.g. 3600000 for an hour, without adding the "
        "current time.",
    )


def _life_over_24_hours(case: Case) -> Explanation | None:
    decoded = case.decoded
    if decoded.issue_ms is None:
        return None
    if decoded.format == "006":
        longest = max(_numbers(case), default=0) - decoded.issue_ms // 1000
    else:
        longest = max((life for life in _numbers(case) if life < _EARLIEST_EPOCH), default=0)
    if longest <= DAY_SECONDS:
        return None
    return Explanation(
        f"The token asks for {span(longest * 1000)}; Agora ends it 24 h after issue.",
        "Request 24 h at most, and renew the token.",
    )


def _zero_life(case: Case) -> Explanation | None:
    if case.decoded.expire_seconds == 0:
        return Explanation(
            "The token asks for a lifetime of 0 seconds, which Agora treats as 24 h.",
            "Pass the lifetime in seconds; check whether a missing setting became 0.",
        )
    if case.decoded.format != "006" or 0 not in _numbers(case):
        return None
    return Explanation(
        "The token has a privilege that ends at 0, which Agora treats as 24 h after issue.",
        "Pass the current time plus the lifetime; check whether a missing setting became 0.",
        Severity.ERROR if case.is_called_expired else None,
    )


def _short_life(case: Case) -> Explanation | None:
    issue_ms, expire_ms = case.decoded.issue_ms, case.expire_ms
    if issue_ms is None or expire_ms is None or case.decoded.whiteboard is not None:
        return None
    life_ms = expire_ms - issue_ms
    if not token_warnings.is_short_life(life_ms):
        return None
    return Explanation(
        f"The token is valid for {span(life_ms)}; the SDK requests a new one "
        f"({callback(case)}) 30 s before the end: too late, or not at all.",
        token_warnings.SHORT_LIFE.advice,
    )


def callback(case: Case) -> str:
    """Names the renewal callback of the product in use.

    RTC and Signaling: onTokenPrivilegeWillExpire (SDK references); Chat: onTokenWillExpire
    (https://docs.agora.io/en/agora-chat/develop/authentication).
    """
    names = {service.name for service in case.used}
    is_chat = case.product is Product.CHAT or names == {"Chat"}
    return "onTokenWillExpire" if is_chat else "onTokenPrivilegeWillExpire"


def _join_ends_before_publish(case: Case) -> Explanation | None:
    decoded = case.decoded
    if decoded.issue_ms is None:
        return None
    # All privileges end with the token. In 007, 0 means its end; in 006, ZERO_LIFE explains it.
    life = min(decoded.expire_seconds or DAY_SECONDS, DAY_SECONDS)
    last_ms = decoded.issue_ms + life * 1000
    zero_ms = last_ms if decoded.format == "007" else 0
    for service in case.rtc:
        ends_ms = {
            right: min(service.ends_ms.get(right, zero_ms), last_ms)
            for right in service.rights
            if right in SERVICES[service.type].rights
        }
        join_ms = ends_ms.get(JOIN)
        if join_ms and max(ends_ms.values()) > join_ms:
            return Explanation(
                f"The privilege to join ends at {moment(join_ms)}, before a privilege to publish: "
                "the user is removed from the channel at that time.",
                token_warnings.JOIN_ENDS_BEFORE_PUBLISH.advice,
            )
    return None


def _privilege_outlives_token(case: Case) -> Explanation | None:
    life = case.decoded.expire_seconds
    if not life:
        return None
    longest = max((number for number in _numbers(case) if number < _EARLIEST_EPOCH), default=0)
    if longest <= life:
        return None
    return Explanation(
        f"A privilege lasts for {span(longest * 1000)}; the token ends after "
        f"{span(life * 1000)}, with all of its privileges.",
        "Give the token the longest lifetime of its privileges.",
    )


def _non_expiring(case: Case) -> Explanation | None:
    whiteboard = case.decoded.whiteboard
    if whiteboard is None or case.decoded.sealed is None or "expireAt" in whiteboard:
        return None
    return explained(token_warnings.NON_EXPIRING)


CAUSES: Final = (
    Check(FindingReason.EPOCH_AS_SECONDS, Severity.ERROR, _epoch_as_seconds),
    Check(FindingReason.SECONDS_AS_EPOCH, Severity.ERROR, _seconds_as_epoch),
    Check(FindingReason.ENDS_BEFORE_ISSUE, Severity.ERROR, _ends_before_issue),
    Check(FindingReason.EXPIRY_IN_SECONDS, Severity.ERROR, _expiry_in_seconds),
    Check(FindingReason.LIFESPAN_IN_SECONDS, Severity.ERROR, _lifespan_in_seconds),
)
CHECKS: Final = (
    Check(FindingReason.EPOCH_AS_LIFESPAN, Severity.WARNING, _epoch_as_lifespan),
    Check(FindingReason.JOIN_ENDS_BEFORE_PUBLISH, Severity.WARNING, _join_ends_before_publish),
    Check(FindingReason.NON_EXPIRING, Severity.WARNING, _non_expiring),
    Check(FindingReason.LIFE_OVER_24_HOURS, Severity.WARNING, _life_over_24_hours),
    Check(FindingReason.ZERO_LIFE, Severity.WARNING, _zero_life),
    Check(FindingReason.SHORT_LIFE, Severity.WARNING, _short_life),
    Check(FindingReason.PRIVILEGE_OUTLIVES_TOKEN, Severity.WARNING, _privilege_outlives_token),
)
