"""Looks at when the token and its rights began and end."""

from collections.abc import Iterator, Mapping
from typing import Final

from token_authority_server.inspection.case import Case, Check, Explanation, LastCheck
from token_authority_server.inspection.decode_007 import DAY_SECONDS
from token_authority_server.inspection.findings import FindingReason, Severity
from token_authority_server.inspection.services import JOIN, RTC, SERVICES, UNKNOWN
from token_authority_server.inspection.wording import end, moment, span

# As seconds, these are 31 years and 3 years: no life is as long as the one, no point in time since
# Agora exists is as early as the other.
_EARLIEST_EPOCH: Final = 1_000_000_000
_LONGEST_LIFE: Final = 100_000_000
# As milliseconds, in 1973; as seconds, in the year 5138.
_EARLIEST_MS: Final = 100_000_000_000
# Clocks that differ by less are of no consequence.
_SKEW_MS: Final = 30_000
# The SDK calls back 30 s before the end: half of the shortest life with which that can work.
_SHORT_MS: Final = 60_000


def _expired(case: Case) -> Explanation | None:
    decoded = case.decoded
    if decoded.end_ms is None or decoded.end_ms > case.at_ms:
        return None
    ago = span(case.at_ms - decoded.end_ms)
    return Explanation(
        f"The token had expired {ago} before it was used: it was good "
        f"{end(decoded.end_ms, decoded.issue_ms)}.",
        "Make a new one with a life that fits its use."
        if decoded.whiteboard is not None
        else "Fetch a new one before it ends (onTokenPrivilegeWillExpire), and pass it to "
        "renewToken.",
    )


def _join_ended(case: Case) -> Explanation | None:
    expire_ms = case.expire_ms
    if expire_ms is None or not case.had_ended or _expired(case):
        return None
    return Explanation(
        f"The right to join or log in had ended at {moment(expire_ms)}, "
        f"{span(case.at_ms - expire_ms)} before it was used, though the token itself lives on.",
        "Give that right the life of the token.",
    )


def _publish_ended(case: Case) -> Explanation | None:
    if case.had_ended:
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
        f"The token still joins, and rights to publish had ended: {', '.join(ended[:3])}.",
        "Give the rights to publish the life of the token, or renew it before they end.",
    )


def _clock_skew(case: Case, found: Mapping[FindingReason, Severity]) -> Explanation | None:
    decoded, code = case.decoded, case.expected.error_code
    if decoded.issue_ms is not None and decoded.issue_ms > case.at_ms + _SKEW_MS:
        return Explanation(
            f"The token was issued at {moment(decoded.issue_ms)}, "
            f"{span(decoded.issue_ms - case.at_ms)} after it was used.",
            "Set the clocks by NTP, first of all that of the machine that makes tokens, and mind "
            "time zones: tokens count in UTC.",
        )
    if not case.is_called_expired or decoded.sealed is None:
        return None
    # Only what nothing else explains is for the clocks to explain.
    if Severity.ERROR in found.values() or FindingReason.PUBLISH_ENDED in found:
        return None
    return Explanation(
        f"Agora says by code {code} that the token had expired, and it had not: it is likely that "
        "a clock was wrong, or that the client used an older token.",
        "Set the clock of the machine that makes tokens by NTP, and check that it takes the time "
        "for each token anew, and that the client passes the new token to renewToken.",
    )


def _numbers(case: Case) -> Iterator[int]:
    """Yields what the token has for times, but those that mean nothing."""
    if case.decoded.expire_seconds is not None:
        yield case.decoded.expire_seconds
    for service in case.decoded.services:
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
        f"The token is to last until {moment(decoded.issue_ms + largest * 1000)}: 007 wants "
        f"seconds from issue, and {largest} is a point in time ({moment(largest * 1000)}).",
        "Pass the life itself, e.g. 3600 for an hour, without adding the current time.",
    )


def _seconds_as_epoch(case: Case) -> Explanation | None:
    if case.decoded.format != "006":
        return None
    smallest = min(_numbers(case), default=_LONGEST_LIFE)
    if smallest >= _LONGEST_LIFE:
        return None
    return Explanation(
        f"The token has a right until {smallest} seconds after 1970: 006 wants a point in time, "
        "and this looks like a life.",
        "Pass the current time plus the life, in seconds since 1970.",
    )


def _expiry_in_seconds(case: Case) -> Explanation | None:
    decoded = case.decoded
    if decoded.whiteboard is None or decoded.expire_ms is None:
        return None
    if decoded.expire_ms >= _EARLIEST_MS:
        return None
    return Explanation(
        f"The token's expireAt is {decoded.expire_ms}: whiteboard tokens count in milliseconds, "
        f"and as seconds this would be {moment(decoded.expire_ms * 1000)}.",
        "Pass the life, and the current time, in milliseconds.",
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
        f"The token asks for {span(longest * 1000)}, and Agora ends it 24 h after issue.",
        "Ask for 24 h at most, and renew the token.",
    )


def _zero_life(case: Case) -> Explanation | None:
    if case.decoded.expire_seconds != 0:
        return None
    return Explanation(
        "The token asks for a life of 0 seconds, which Agora takes for 24 h.",
        "Pass the life that is wanted, in seconds; a missing setting may have become 0.",
    )


def _short_life(case: Case) -> Explanation | None:
    issue_ms, expire_ms = case.decoded.issue_ms, case.expire_ms
    if issue_ms is None or expire_ms is None:
        return None
    life_ms = expire_ms - issue_ms
    if not 0 < life_ms <= _SHORT_MS:
        return None
    return Explanation(
        f"The token lives for {span(life_ms)}, and the SDK calls back for a new one (onToken"
        "PrivilegeWillExpire) 30 s before the end: too late, or not at all.",
        "Ask for some minutes at least.",
    )


def _join_ends_before_publish(case: Case) -> Explanation | None:
    decoded = case.decoded
    if decoded.issue_ms is None:
        return None
    # Whatever the numbers, all rights are over with the token, and 0 stands for its end in 007.
    life = min(decoded.expire_seconds or DAY_SECONDS, DAY_SECONDS)
    last_ms = decoded.issue_ms + life * 1000
    zero_ms = last_ms if decoded.format == "007" else 0
    for service in case.rtc:
        ends_ms = {
            right: min(service.ends_ms.get(right, zero_ms), last_ms)
            for right in service.rights
            if right in SERVICES[RTC].rights
        }
        join_ms = ends_ms.get(JOIN)
        if join_ms and max(ends_ms.values()) > join_ms:
            return Explanation(
                f"The right to join ends at {moment(join_ms)}, before a right to publish: the user "
                "is removed from the channel then.",
                "Give the right to join the longest life.",
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
        f"A right is to last for {span(longest * 1000)}, and the token ends after "
        f"{span(life * 1000)}, with all of its rights.",
        "Give the token the longest life of its rights.",
    )


def _non_expiring(case: Case) -> Explanation | None:
    whiteboard = case.decoded.whiteboard
    if whiteboard is None or case.decoded.sealed is None or "expireAt" in whiteboard:
        return None
    return Explanation(
        "The token never expires: it works until its access key is deleted.",
        "Make tokens with a lifespan; to be rid of this one, delete the access key that signed it.",
    )


CHECKS: Final = (
    Check(FindingReason.EPOCH_AS_SECONDS, Severity.ERROR, _epoch_as_seconds),
    Check(FindingReason.SECONDS_AS_EPOCH, Severity.ERROR, _seconds_as_epoch),
    Check(FindingReason.EXPIRY_IN_SECONDS, Severity.ERROR, _expiry_in_seconds),
    Check(FindingReason.EXPIRED, Severity.ERROR, _expired),
    Check(FindingReason.JOIN_ENDED, Severity.ERROR, _join_ended),
    Check(FindingReason.PUBLISH_ENDED, Severity.WARNING, _publish_ended),
    Check(FindingReason.JOIN_ENDS_BEFORE_PUBLISH, Severity.WARNING, _join_ends_before_publish),
    Check(FindingReason.NON_EXPIRING, Severity.WARNING, _non_expiring),
    Check(FindingReason.LIFE_OVER_24_HOURS, Severity.WARNING, _life_over_24_hours),
    Check(FindingReason.ZERO_LIFE, Severity.WARNING, _zero_life),
    Check(FindingReason.SHORT_LIFE, Severity.WARNING, _short_life),
    Check(FindingReason.PRIVILEGE_OUTLIVES_TOKEN, Severity.WARNING, _privilege_outlives_token),
)
LAST_CHECKS: Final = (LastCheck(FindingReason.CLOCK_SKEW, Severity.ERROR, _clock_skew),)
