"""Advisories: the table of warnings, applied to what a request asks for."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from token_authority_server.formats import token_warnings
from token_authority_server.formats.token_warnings import (
    TokenWarning,
    is_short_life,
)


@dataclass(frozen=True, slots=True)
class Advisory:
    """Non-fatal warning about an issued token."""

    reason: str
    description: str

    @classmethod
    def of(cls, warning: TokenWarning, problem: str = "") -> Self:
        """Returns the advisory of a row of the table; `problem` replaces its general sentence."""
        return cls(warning.reason, f"{problem or warning.problem} {warning.advice}")


def ttl_clamped(max_ttl_ms: int) -> Advisory:
    """Returns the warning that a grant shortened the token's lifetime."""
    return Advisory.of(
        token_warnings.TTL_CLAMPED,
        f"The requested lifetime was shortened to {max_ttl_ms / 1000:g} s, the grant's max_ttl.",
    )


def lifetime_advisories(usable_ms: int | None, *, can_be_renewed: bool) -> Iterator[Advisory]:
    """Yields the warnings about how long joining or logging in works.

    Args:
        usable_ms: Milliseconds from issue; None for ever.
        can_be_renewed: Whether the SDK calls back before the end: whiteboards do not.
    """
    if usable_ms is None:
        yield Advisory.of(token_warnings.NON_EXPIRING)
    elif can_be_renewed and is_short_life(usable_ms):
        yield Advisory.of(token_warnings.SHORT_LIFE)
