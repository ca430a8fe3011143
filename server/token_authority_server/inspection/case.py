"""One inspection: what the checks look at, and the form they have. Values only."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from token_authority_server.inspection.decoded import Decoded, Service
from token_authority_server.inspection.expected import Expected
from token_authority_server.inspection.findings import FindingReason, Severity
from token_authority_server.inspection.services import RTC, RTM, RTM2, SERVICES, UNKNOWN
from token_authority_server.inspection.verify import Signature

# What Agora's SDKs answer about tokens. RTM has its own numbers, and others since version 2.
RTC_CODES: Final = frozenset([101, 109, 110, 118, 119])
RTM_CODES: Final = frozenset([5, 6, -10005, -10009])
_EXPIRED_CODES: Final = frozenset([109, 118, 6, -10009])
_INVALID_CODES: Final = frozenset([110, 5, -10005])
# What renewToken of RTC answers, in part with the numbers of RTM.
RENEWAL_CODES: Final[Mapping[int, str]] = {
    2: "had expired",
    3: "is invalid",
    4: "is for another channel",
    5: "is for another App ID",
    6: "was superseded by a newer one",
}
EVERY: Final = "*"


@dataclass(frozen=True, slots=True)
class Case:
    """A token and what is known about its use."""

    decoded: Decoded
    signature: Signature
    expected: Expected
    at_ms: int
    """When it was used."""
    has_secret: bool
    """Whether a secret stands in it where an id belongs."""

    @property
    def for_rtm(self) -> bool:
        """Whether it was used to log in to RTM."""
        code, expected = self.expected.error_code, self.expected
        if code in RENEWAL_CODES and (expected.channel_name or expected.uid is not None):
            # RTM has no channel to join, and no integers for users.
            return False
        return code in RTM_CODES

    @property
    def for_rtc(self) -> bool:
        """Whether it was used to join an RTC channel."""
        expected = self.expected
        if self.for_rtm:
            return False
        if expected.channel_name or expected.error_code in RTC_CODES:
            return True
        return expected.uid is not None and not expected.room_uuid

    @property
    def is_called_expired(self) -> bool:
        """Whether Agora says that it had expired."""
        code = self.expected.error_code
        return code in _EXPIRED_CODES and (code not in RTM_CODES or self.for_rtm)

    @property
    def is_called_invalid(self) -> bool:
        """Whether Agora says that it is invalid."""
        code = self.expected.error_code
        return code in _INVALID_CODES and (code not in RTM_CODES or self.for_rtm)

    @property
    def rtc(self) -> list[Service]:
        """The services to join channels with."""
        return [service for service in self.decoded.services if service.type == RTC]

    @property
    def rtm(self) -> list[Service]:
        """The services to log in to RTM with."""
        return [service for service in self.decoded.services if service.type in (RTM, RTM2)]

    @property
    def with_channel(self) -> list[Service]:
        """The services that are for a channel: RTC, Streaming, FCDN."""
        return [service for service in self.decoded.services if service.channel]

    @property
    def joined(self) -> list[Service]:
        """The services that are for the kind of channel that was joined.

        Streaming and FCDN have channels too, which nobody enters with the right to join RTC's.
        """
        if self.rtc or self.expected.error_code in RTC_CODES:
            return self.rtc
        return self.with_channel

    @property
    def used(self) -> list[Service]:
        """The services that it was used for; all of them where that is not said."""
        if self.for_rtm:
            return self.rtm
        if not self.for_rtc:
            return [*self.decoded.services]
        channel = self.expected.channel_name
        opening = [service for service in self.joined if channel and opens(service, channel)]
        return opening or self.joined

    @property
    def expire_ms(self) -> int | None:
        """When joining or logging in stops, in what it was used for; None as `decoded` has it."""
        end_ms = self.decoded.end_ms
        if end_ms is None:
            return None
        entries = [
            service.ends_ms[right]
            for service in self.used
            for right in SERVICES.get(service.type, UNKNOWN).entries
            if right in service.ends_ms
        ]
        return min([end_ms, *entries])

    @property
    def had_ended(self) -> bool:
        """Whether joining or logging in was over, in what it was used for."""
        return self.expire_ms is not None and self.expire_ms <= self.at_ms


def opens(service: Service, channel: str) -> bool:
    """Tells whether it is for this channel, or for every one."""
    name = service.channel
    return name is not None and (name.matches(channel) or name.text == EVERY)


class Explanation(NamedTuple):
    """A finding, but for what is the same each time."""

    problem: str
    advice: str


class Check(NamedTuple):
    """Looks for one thing; None where it is not there."""

    reason: FindingReason
    severity: Severity
    check: Callable[[Case], Explanation | None]


class LastCheck(NamedTuple):
    """Looks, when all else has been found, for what that leaves open."""

    reason: FindingReason
    severity: Severity
    check: Callable[[Case, Mapping[FindingReason, Severity]], Explanation | None]
    """Gets what was found before."""
