"""One inspection: what the checks look at, and the form they have. Values only."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from token_authority_server.inspection.decoded import Decoded, Service
from token_authority_server.inspection.expected import Expected
from token_authority_server.inspection.reasons import Reason, Severity
from token_authority_server.inspection.services import RTC, RTM, RTM2
from token_authority_server.inspection.verify import Signature

# What Agora's SDKs answer about tokens. RTM has its own numbers.
RTC_CODES: Final = frozenset([101, 109, 110, 118, 119])
RTM_CODES: Final = frozenset([5, 6])
EXPIRED_CODES: Final = frozenset([109, 118, 6])
INVALID_CODES: Final = frozenset([110, 5])


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
        return self.expected.error_code in RTM_CODES

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
    def is_expired(self) -> bool:
        """Whether joining or logging in was over."""
        expire_ms = self.decoded.expire_ms
        return expire_ms is not None and expire_ms <= self.at_ms


class Words(NamedTuple):
    """A finding, but for what is the same each time."""

    problem: str
    advice: str


class Check(NamedTuple):
    """Looks for one thing; None where it is not there."""

    reason: Reason
    severity: Severity
    look: Callable[[Case], Words | None]


class LastCheck(NamedTuple):
    """Looks, when all else has been found, for what that leaves open."""

    reason: Reason
    severity: Severity
    look: Callable[[Case, frozenset[Reason]], Words | None]
    """Gets the reasons of the errors that were found."""
