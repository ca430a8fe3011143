"""Advisories about the channels, users and rooms of a token, by the table of warnings."""

from collections.abc import Iterator, Sequence
from typing import Final

from token_authority_server.families.advisories import Advisory
from token_authority_server.families.service_access import ServiceAccess
from token_authority_server.formats import token_warnings
from token_authority_server.formats.token_warnings import UNSET_TEXTS, TokenWarning

_ZERO_USER: Final = f"account:{token_warnings.ZERO_ACCOUNT}"
_UNSET_USERS: Final = tuple(f"account:{text}" for text in UNSET_TEXTS)
_ORDER: Final = (
    token_warnings.WILDCARD_CHANNEL,
    token_warnings.WILDCARD_PATTERN,
    token_warnings.ANY_USER,
    token_warnings.UID_ZERO_AS_TEXT,
)


def access_advisories(accesses: Sequence[ServiceAccess]) -> list[Advisory]:
    """Returns the warnings about the channels, users and rooms of a token, each once."""
    found: set[TokenWarning] = set()
    unset: dict[str, None] = {}
    for access in accesses:
        user = access.user
        if access.any_channel:
            found.add(token_warnings.WILDCARD_CHANNEL)
        if access.channel_pattern:
            found.add(token_warnings.WILDCARD_PATTERN)
        if access.any_user:
            found.add(token_warnings.ANY_USER)
        if user == _ZERO_USER and access.has_channel:
            found.add(token_warnings.UID_ZERO_AS_TEXT)
        if access.channel in UNSET_TEXTS or user in _UNSET_USERS or access.room in UNSET_TEXTS:
            unset |= dict.fromkeys(_unset_names(access))
    advisories = [Advisory.of(warning) for warning in _ORDER if warning in found] if found else []
    return advisories + [
        Advisory.of(
            token_warnings.UNSET_AS_TEXT, f"The {name}, which is the text of an unset variable."
        )
        for name in unset
    ]


def _unset_names(access: ServiceAccess) -> Iterator[str]:
    user = access.user.partition(":")[2] if access.user else None
    for dimension, text in (("channel", access.channel), ("user", user), ("room", access.room)):
        if text in UNSET_TEXTS:
            yield f'{dimension} is "{text}"'
