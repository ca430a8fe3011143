"""One inspection: the input of the checks, and their form. Values only."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from token_authority_server.formats.token_warnings import TokenWarning
from token_authority_server.inspection.agora_errors import Meaning, Product
from token_authority_server.inspection.decoded import Decoded, DecodedService, first_end_ms
from token_authority_server.inspection.expected import Expected
from token_authority_server.inspection.exposure import ExposedSecret
from token_authority_server.inspection.findings import FindingReason, Severity
from token_authority_server.inspection.reported_error import ReportedError
from token_authority_server.inspection.services import CHAT, EDUCATION, RTC, RTM, RTM2
from token_authority_server.inspection.verify import Signature
from token_authority_server.inspection.wording import span

_TYPES: Mapping[Product, frozenset[int]] = {
    Product.RTC: frozenset([RTC]),
    Product.RTM: frozenset([RTM, RTM2]),
    Product.CHAT: frozenset([CHAT]),
    Product.EDUCATION: frozenset([EDUCATION]),
    Product.WHITEBOARD: frozenset(),
}


def products_of(decoded: Decoded) -> frozenset[Product]:
    """Returns the products that a token is for."""
    if decoded.whiteboard is not None:
        return frozenset([Product.WHITEBOARD])
    types = {service.type for service in decoded.services}
    return frozenset([product for product, numbers in _TYPES.items() if numbers & types])


@dataclass(frozen=True, slots=True)
class Case:
    """A token and how it was used."""

    decoded: Decoded
    signature: Signature
    expected: Expected
    at_ms: int
    """When it was used."""
    error: ReportedError | None = None
    """What the SDK reported."""
    has_secret: bool = False
    """Whether a secret is in the token where an id belongs."""
    exposed: Sequence[ExposedSecret] = ()
    """The credentials that were pasted where a token or an id belongs."""
    token_types: Sequence[str] = ()
    """The types of all tokens in the text, if there are several."""

    @property
    def product(self) -> Product | None:
        """The product it was used with; None if unknown.

        A channel does not tell RTC from RTM, which has channels too.
        """
        expected = self.expected
        if expected.product is not None:
            return expected.product
        if self.error is not None and self.error.product is not None:
            return self.error.product
        if expected.uid is not None and not expected.room_uuid:
            return Product.RTC
        if expected.channel_name and (self.with_channel or not self.rtm):
            return Product.RTC
        return None

    @property
    def for_rtm(self) -> bool:
        """Whether it was used to log in to RTM."""
        return self.product is Product.RTM

    @property
    def for_rtc(self) -> bool:
        """Whether it was used to join an RTC channel."""
        return self.product is Product.RTC

    @property
    def is_called_expired(self) -> bool:
        """Whether Agora reported it as expired."""
        return self.error is not None and self.error.meaning is Meaning.EXPIRED

    @property
    def is_called_invalid(self) -> bool:
        """Whether Agora reported it as invalid."""
        return self.error is not None and self.error.meaning is Meaning.INVALID

    @property
    def rtc(self) -> list[DecodedService]:
        """The services to join channels with."""
        return self._of(Product.RTC)

    @property
    def rtm(self) -> list[DecodedService]:
        """The services to log in to RTM with."""
        return self._of(Product.RTM)

    def _of(self, product: Product) -> list[DecodedService]:
        return [service for service in self.decoded.services if service.type in _TYPES[product]]

    @property
    def with_channel(self) -> list[DecodedService]:
        """The services that are for a channel: RTC, Streaming, FCDN."""
        return [service for service in self.decoded.services if service.channel]

    @property
    def joined(self) -> list[DecodedService]:
        """The services that are for the kind of channel that was joined.

        Streaming and FCDN have channels too; a token for them does not join one of RTC.
        """
        product = self.expected.product or (self.error and self.error.product)
        if self.rtc or product is Product.RTC:
            return self.rtc
        return self.with_channel

    @property
    def used(self) -> list[DecodedService]:
        """The services that it was used for; all of them if unknown."""
        product = self.product
        if product is None or product is Product.WHITEBOARD:
            return [*self.decoded.services]
        if product is not Product.RTC:
            return self._of(product)
        channel = self.expected.channel_name
        opening = [service for service in self.joined if channel and opens(service, channel)]
        return opening or self.joined

    @property
    def timed(self) -> list[DecodedService]:
        """The services whose times count: those in use, or all if the token has none of them."""
        return self.used or [*self.decoded.services]

    @property
    def expire_ms(self) -> int | None:
        """When joining or logging in stops, in what it was used for; None as `decoded` has it."""
        hard_end_ms = self.decoded.hard_end_ms
        return None if hard_end_ms is None else first_end_ms(self.timed, hard_end_ms)

    @property
    def ends_ms(self) -> Mapping[str, int]:
        """Product -> when it stops admitting the user, if those in use stop at different times."""
        hard_end_ms = self.decoded.hard_end_ms
        if hard_end_ms is None:
            return {}
        ends: dict[str, int] = {}
        for service in self.timed:
            end_ms = service.end_ms(hard_end_ms)
            ends[service.name] = min(end_ms, ends.get(service.name, end_ms))
        return ends if len(set(ends.values())) > 1 else {}

    @property
    def had_ended(self) -> bool:
        """Whether joining or logging in was over, in what it was used for."""
        return self.expire_ms is not None and self.expire_ms <= self.at_ms

    def time_summary(self, now_ms: int) -> str:
        """Describes the times as seen from when the token was used."""
        decoded, at_ms = self.decoded, self.at_ms
        is_now = at_ms == now_ms
        before, after = ("{} ago", "in {}") if is_now else ("{} before use", "{} after use")
        times = [("issued", "issued", decoded.issue_ms)]
        if ends_ms := self.ends_ms:
            times += [(f"{name} expired", f"{name} expires", ms) for name, ms in ends_ms.items()]
        else:
            times.append(("expired", "expires", self.expire_ms))
        parts: list[str] = []
        for past, future, ms in times:
            if ms is not None:
                when = before if ms <= at_ms else after
                parts.append(f"{past if ms <= at_ms else future} {when.format(span(at_ms - ms))}")
        whiteboard = decoded.whiteboard
        if whiteboard is not None and "expireAt" not in whiteboard and decoded.sealed:
            parts.append("never expires")
        return ", ".join(parts)


def opens(service: DecodedService, channel: str) -> bool:
    """Tells whether it is for this channel, or for a wildcard that matches it."""
    name = service.channel
    if name is None:
        return False
    # In 007, an empty channel is a wildcard like `*`; in 006, which has CRCs only, it is not.
    return name.admits(channel) or (name.text == "" and service.type == RTC)


class Explanation(NamedTuple):
    """The sentences of a finding."""

    problem: str
    advice: str
    severity: Severity | None = None
    """The severity in this case, if it differs from that of the check."""


def explained(warning: TokenWarning) -> Explanation:
    """Returns the sentences of a row of the table of warnings, without details."""
    return Explanation(warning.problem, warning.advice)


class Check(NamedTuple):
    """Checks for one reason; None if it does not apply."""

    reason: FindingReason
    severity: Severity
    check: Callable[[Case], Explanation | None]


class LastCheck(NamedTuple):
    """Checks, after all others, for what they leave unexplained."""

    reason: FindingReason
    severity: Severity
    check: Callable[[Case, Mapping[FindingReason, Severity]], Explanation | None]
    """Gets the findings so far."""
