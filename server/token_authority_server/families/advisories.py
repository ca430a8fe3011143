"""Advisories: the table of warnings, applied to what a request asks for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from token_authority_server.formats import token_warnings
from token_authority_server.formats.token_warnings import (
    UNSET_TEXTS,
    TokenWarning,
    is_short_life,
)

if TYPE_CHECKING:
    from token_authority_server.families.service_access import ServiceAccess

_ZERO_USER: Final = f"account:{token_warnings.ZERO_ACCOUNT}"


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


def access_advisories(accesses: Sequence["ServiceAccess"]) -> Iterator[Advisory]:
    """Yields the warnings about the channels, users and rooms of a token, each once."""
    if any(access.any_channel for access in accesses):
        yield Advisory.of(token_warnings.WILDCARD_CHANNEL)
    if any(access.channel_pattern for access in accesses):
        yield Advisory.of(token_warnings.WILDCARD_PATTERN)
    if any(access.any_user for access in accesses):
        yield Advisory.of(token_warnings.ANY_USER)
    if any(access.has_channel and access.user == _ZERO_USER for access in accesses):
        yield Advisory.of(token_warnings.UID_ZERO_AS_TEXT)
    unset = [name for access in accesses for name in _unset_names(access)]
    for name in dict.fromkeys(unset):
        yield Advisory.of(
            token_warnings.UNSET_AS_TEXT, f"The {name}, which is the text of an unset variable."
        )


def _unset_names(access: "ServiceAccess") -> Iterator[str]:
    user = access.user.partition(":")[2] if access.user else None
    for dimension, text in (("channel", access.channel), ("user", user), ("room", access.room)):
        if text in UNSET_TEXTS:
            yield f'{dimension} is "{text}"'


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
