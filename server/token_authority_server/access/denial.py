"""One denial, and what it applies to. Pure.

Wildcards and patterns are compared by intersection.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from token_authority_server.access.patterns import Glob
from token_authority_server.audit import redact_tokens, rfc_3339
from token_authority_server.families import FAMILIES, ServiceAccess, user_name
from token_authority_server.keyring import AccessKey

UID: Final = "uid:"
ACCOUNT: Final = "account:"
_UUID: Final = re.compile(r"[0-9a-fA-F]{32}")
# An SDK token works in every room, and can make tokens for each.
EVERY_ROOM: Final = "whiteboard.sdk"
WHITEBOARD: Final = frozenset(
    token_type.name
    for family in FAMILIES
    if family.key_type is AccessKey
    for token_type in family.token_types
)
"""The names of the token types that access keys sign."""
# The most characters of a channel's name at Agora.
_MAX_CHANNEL: Final = 64
# Chat changes upper-case letters to lower case (formats.token_warnings).
_CASE_INSENSITIVE: Final = "chat.user"


@dataclass(frozen=True, slots=True)
class Denial:
    """New tokens of one project that are refused until some time.

    It applies to a service of a token if all of `user`, `channel`, `room` and `token_types` that
    are set do, so it never applies to a service without users if it has a user, and so on.
    """

    project: str
    until_ms: int
    """Milliseconds since 1970 when it ends."""
    user: str | None = None
    """A pattern, as in grants: `uid:7`, `account:al*` or `*`."""
    channel: str | None = None
    """A pattern of channels."""
    room: str | None = None
    """A pattern of the UUIDs of rooms."""
    token_types: frozenset[str] = frozenset()
    """Names of TokenTypes, each in full; empty: all."""
    reason: str = ""
    """Why, for operators."""

    def __str__(self) -> str:
        """Describes what is denied; people may have pasted tokens."""
        named = [(name, getattr(self, name)) for name in ("user", "channel", "room")]
        what = " ".join(f"{name} {redact_tokens(text)}" for name, text in named if text is not None)
        types = f" ({', '.join(sorted(self.token_types))})" if self.token_types else ""
        return f"{self.project}: {what}{types} until {rfc_3339(self.until_ms)}"


class DenialRule:
    """A denial with its patterns, ready to compare."""

    __slots__ = ("_canonical_room", "_channel", "_room", "_user", "_user_of_uid", "denial")

    def __init__(self, denial: Denial) -> None:
        self.denial = denial
        user = denial.user
        self._user = None if user is None else Glob(user)
        # In a channel, the account "7" is uid:7: the token is the same.
        self._user_of_uid = (
            Glob(user.replace(ACCOUNT, UID, 1)) if user and user.startswith(ACCOUNT) else None
        )
        self._channel = None if denial.channel is None else Glob(denial.channel)
        self._room = None if denial.room is None else Glob(denial.room)
        self._canonical_room = None if denial.room is None else Glob(canonical_room(denial.room))

    def applies_to(self, access: ServiceAccess) -> bool:
        """Whether a denied user could use a service of a token, or it works in a denied place."""
        types = self.denial.token_types
        return (
            (not types or access.token_type in types)
            and (self._user is None or self._is_for_user(self._user, access))
            and (self._channel is None or _is_for_channel(self._channel, access))
            and (self._room is None or self._is_for_room(self._room, access))
        )

    def _is_for_user(self, glob: Glob, access: ServiceAccess) -> bool:
        if access.any_user:
            return True
        for user in users_of(access):
            if glob.matches(user):
                return True
            if self._user_of_uid and user.startswith(UID) and self._user_of_uid.matches(user):
                return True
            if access.token_type == _CASE_INSENSITIVE and glob.lower.matches(user.lower()):
                return True
        return False

    def _is_for_room(self, glob: Glob, access: ServiceAccess) -> bool:
        if access.token_type == EVERY_ROOM:
            return True
        room = access.room
        if room is None or self._canonical_room is None:
            return False
        return glob.matches(room) or (
            is_uuid(room) and self._canonical_room.matches(canonical_room(room))
        )


def users_of(access: ServiceAccess) -> Iterator[str]:
    """Yields the names of the user that a service of a token admits."""
    if access.user is not None:
        yield access.user
    if access.alias is not None:
        yield access.alias


# A request's pattern is compared with each denial.
_glob: Final = lru_cache(maxsize=16)(Glob)


def _is_for_channel(glob: Glob, access: ServiceAccess) -> bool:
    if access.any_channel:
        return True
    if access.channel_pattern is not None:
        return glob.overlaps(_glob(access.channel_pattern))
    return access.channel is not None and glob.matches(access.channel)


def is_uuid(room: str) -> bool:
    """Whether a room's name is a UUID, with or without dashes and in any case."""
    return bool(_UUID.fullmatch(room.replace("-", "")))


def canonical_room(room: str) -> str:
    """Returns a UUID, or a pattern of UUIDs, without dashes and in lower case."""
    return room.replace("-", "").lower()


def readings_of_006(access: ServiceAccess) -> Iterator[ServiceAccess]:
    """Yields the channels and users that a 006 token can be altered to be for.

    006 signs the channel and the user without a boundary: `room1` with 23 is `room12` with 3.
    """
    if access.channel is None:
        return
    name = (access.user or "").partition(":")[2]
    text = access.channel + name
    for end in range(1, min(len(text), _MAX_CHANNEL) + 1):
        user = user_name(text[end:]) if text[end:] else None
        yield access._replace(channel=text[:end], user=user, any_user=user is None)
