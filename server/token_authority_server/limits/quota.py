"""Quotas: parses the rate limits of the configuration, like `200/second; 10000/hour`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from limits import parse

_MAX_BATCH: Final = 500
"""Tokens per call: max_items of BatchIssueTokensRequest.requests in the contract."""
_MAX_AMOUNT: Final = 1_000_000_000
"""Tokens per window: far more than a server signs, far less than Redis counts exactly."""
_MAX_SECONDS: Final = 31 * 86_400
"""Longest window."""
_SEPARATORS: Final = re.compile("[;,|]")
_ADVICE: Final = 'write rates like "200/second; 10000/hour" (second, minute, hour or day)'


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate limit: tokens per window."""

    amount: int
    """Tokens: 1 to 1000000000."""
    seconds: int
    """Window: 1 second to 31 days."""
    text: str
    """For messages, e.g. `200 per 1 second`."""


@dataclass(frozen=True, slots=True)
class Quota:
    """Limits of one caller."""

    rates: tuple[Rate, ...] = ()
    """Rate limits, all enforced; empty for no rate limit."""
    max_in_flight: int | None = None
    """Concurrent calls, at least 1; None: only the server's own limit applies."""
    inspect_rates: tuple[Rate, ...] = ()
    """Rate limits of inspections and `validate_only` requests; empty for no rate limit."""

    @classmethod
    def parse(cls, rates: str | Sequence[str], max_in_flight: int | None = None) -> "Quota":
        """Parses rates, given as one string or a list.

        Raises:
            ValueError: A rate is invalid, two rates have the same window, or `max_in_flight` is not
                positive. The message has the allowed form.
        """
        texts = [rates] if isinstance(rates, str) else rates
        parsed = tuple(_rate(part) for text in texts for part in _SEPARATORS.split(text))
        if len({rate.seconds for rate in parsed}) < len(parsed):
            raise ValueError("two rates have the same window: keep the smaller one")
        if max_in_flight is not None and max_in_flight < 1:
            raise ValueError(
                "max_in_flight must be at least 1: remove it for no limit; to block the caller, "
                "remove the caller"
            )
        return cls(parsed, max_in_flight)

    @property
    def max_batch(self) -> int:
        """Most tokens that one call can get: the amount of the smallest rate, at most 500."""
        return min([_MAX_BATCH, *(rate.amount for rate in self.rates)])

    def describe(self) -> list[str]:
        """Returns the rates for messages, e.g. `["200 per 1 second", "10000 per 1 hour"]`."""
        return [rate.text for rate in self.rates]

    def describe_inspections(self) -> list[str]:
        """Returns the rates of inspections likewise."""
        return [rate.text for rate in self.inspect_rates]


def _rate(text: str) -> Rate:
    """Parses one rate. `limits` would accept "5/0 seconds" as 5 per second, and "0/second"."""
    try:
        item = parse(text)
    except ValueError:
        raise ValueError(f"{text[:40]!r} is not a rate: {_ADVICE}") from None
    seconds = item.get_expiry()
    if not 1 <= item.amount <= _MAX_AMOUNT:
        raise ValueError(f"{text[:40]!r}: a rate is 1 to {_MAX_AMOUNT} tokens: {_ADVICE}")
    if seconds > _MAX_SECONDS or re.search(r"[/r]\s*0+\s*[a-z]", text, re.IGNORECASE):
        raise ValueError(f"{text[:40]!r}: the window of a rate is 1 second to 31 days: {_ADVICE}")
    return Rate(item.amount, seconds, repr(item))
