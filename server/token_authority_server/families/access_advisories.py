"""Advisories about the channels, users and rooms of a token, by the table of warnings."""

from collections.abc import Iterator, Sequence
from typing import Final

from token_authority_server.families.advisories import Advisory
from token_authority_server.families.service_access import ServiceAccess
from token_authority_server.formats import token_warnings
from token_authority_server.formats.token_warnings import UNSET_TEXTS

_ZERO_USER: Final = f"account:{token_warnings.ZERO_ACCOUNT}"


def access_advisories(accesses: Sequence[ServiceAccess]) -> Iterator[Advisory]:
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


def _unset_names(access: ServiceAccess) -> Iterator[str]:
    user = access.user.partition(":")[2] if access.user else None
    for dimension, text in (("channel", access.channel), ("user", user), ("room", access.room)):
        if text in UNSET_TEXTS:
            yield f'{dimension} is "{text}"'
