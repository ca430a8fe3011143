"""Warnings that several token families give about an issued token."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Advisory:
    """Non-fatal warning about an issued token."""

    reason: str
    description: str


V006_ADVISORY: Final = Advisory(
    "LEGACY_FORMAT_006",
    "006 is the older format. Use 007 if all your SDKs read it: it also supports wildcard channels "
    "and several services in one token.",
)
APP_ADVISORY: Final = Advisory(
    "APP_TOKEN_SERVER_SIDE_ONLY",
    "An app token calls the REST API with all rights. Keep it on servers, out of clients, "
    "databases and configuration files; give user tokens to clients.",
)


def ttl_clamped(max_ttl_ms: int) -> Advisory:
    """Returns the warning that a grant shortened the token's lifetime."""
    return Advisory(
        "TTL_CLAMPED",
        f"The requested lifetime was shortened to {max_ttl_ms / 1000:g} s, the grant's max_ttl.",
    )
