"""Denials (the stop list): refuse new tokens to denied users, channels and rooms. Pure.

A denial applies to every token that a denied user could use, or that works in a denied channel or
room: wildcards and patterns are compared by intersection. Issued tokens are not affected.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from token_authority_server.access.patterns import Glob
from token_authority_server.audit import redact_tokens, rfc_3339
from token_authority_server.errors import denied
from token_authority_server.families import ServiceAccess

_UID: Final = "uid:"
_ACCOUNT: Final = "account:"
_UUID: Final = re.compile(r"[0-9a-fA-F]{32}")
# An SDK token works in every room, and can make tokens for each.
_EVERY_ROOM: Final = "whiteboard.sdk"
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


class _Rule:
    """A denial with its patterns, ready to compare."""

    __slots__ = ("_canonical_room", "_channel", "_room", "_user", "_user_of_uid", "denial")

    def __init__(self, denial: Denial) -> None:
        self.denial = denial
        user = denial.user
        self._user = None if user is None else Glob(user)
        # In a channel, the account "7" is uid:7: the token is the same.
        self._user_of_uid = (
            Glob(user.replace(_ACCOUNT, _UID, 1)) if user and user.startswith(_ACCOUNT) else None
        )
        self._channel = None if denial.channel is None else Glob(denial.channel)
        self._room = None if denial.room is None else Glob(denial.room)
        self._canonical_room = None if denial.room is None else Glob(_canonical(denial.room))

    def applies_to(self, access: ServiceAccess) -> bool:
        """Whether a service of a token would be of use to what is denied."""
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
            if self._user_of_uid and user.startswith(_UID) and self._user_of_uid.matches(user):
                return True
            if access.token_type == _CASE_INSENSITIVE and glob.lower.matches(user.lower()):
                return True
        return False

    def _is_for_room(self, glob: Glob, access: ServiceAccess) -> bool:
        if access.token_type == _EVERY_ROOM:
            return True
        room = access.room
        if room is None or self._canonical_room is None:
            return False
        return glob.matches(room) or self._canonical_room.matches(_canonical(room))


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


def _canonical(room: str) -> str:
    """Returns a UUID without dashes and in lower case; any other text as it is."""
    plain = room.replace("-", "")
    return plain.lower() if _UUID.fullmatch(plain) else room


class _Index:
    """Rules by one of their patterns: names and prefixes are looked up, other patterns listed.

    Args:
        rules: The rules, the latest end first.
        patterns: Returns the patterns of a rule; a name that is found matches one of them.
    """

    def __init__(
        self, rules: Iterable[_Rule], patterns: Callable[[Denial], Collection[str]]
    ) -> None:
        self._names: dict[str, list[_Rule]] = {}
        self._prefixes: dict[str, list[_Rule]] = {}
        for rule in rules:
            for pattern in patterns(rule.denial):
                prefix, star, _ = pattern.partition("*")
                found = self._prefixes if star else self._names
                found.setdefault(prefix, []).append(rule)
        self._lengths = sorted({len(prefix) for prefix in self._prefixes})

    def candidates(self, name: str) -> Iterator[Sequence[_Rule]]:
        """Yields lists of the rules that can match a name."""
        yield self._names.get(name, ())
        for length in self._lengths:
            yield self._prefixes.get(name[:length], ())


def _user_patterns(denial: Denial) -> Collection[str]:
    user = (denial.user or "").lower()
    return {user, user.replace(_ACCOUNT, _UID, 1)}


def _place_patterns(denial: Denial) -> Collection[str]:
    if denial.room is not None:
        return {denial.room, _canonical(denial.room)}
    return {denial.channel or ""}


class _ProjectDenials:
    """The denials of one project, the latest end first."""

    def __init__(self, denials: Iterable[Denial]) -> None:
        rules = sorted(map(_Rule, denials), key=lambda rule: -rule.denial.until_ms)
        self._of_users = [rule for rule in rules if rule.denial.user is not None]
        self._by_user = _Index(self._of_users, _user_patterns)
        self._of_users_anywhere = [rule for rule in self._of_users if not _has_place(rule.denial)]
        self._of_users_by_place = _Index(
            [rule for rule in self._of_users if _has_place(rule.denial)], _place_patterns
        )
        self._of_places = [rule for rule in rules if rule.denial.user is None]
        self._by_place = _Index(self._of_places, _place_patterns)

    def find(self, access: ServiceAccess, now_ms: int) -> Denial | None:
        """Returns the denial with the latest end that applies to a service; None if none does."""
        return _latest(_first(rules, access, now_ms) for rules in self._candidates(access))

    def _candidates(self, access: ServiceAccess) -> Iterator[Sequence[_Rule]]:
        """Yields lists of the rules that can apply."""
        places = {access.channel} if access.channel is not None else set[str]()
        if access.room is not None:
            places |= {access.room, _canonical(access.room)}
        if not access.any_user:
            for user in users_of(access):
                yield from self._by_user.candidates(user.lower())
        elif places:
            yield self._of_users_anywhere
            for place in places:
                yield from self._of_users_by_place.candidates(place)
        else:
            yield self._of_users
        if places:
            for place in places:
                yield from self._by_place.candidates(place)
        else:
            yield self._of_places


def _has_place(denial: Denial) -> bool:
    return denial.channel is not None or denial.room is not None


def _first(rules: Sequence[_Rule], access: ServiceAccess, now_ms: int) -> Denial | None:
    for rule in rules:
        if rule.denial.until_ms <= now_ms:
            return None
        if rule.applies_to(access):
            return rule.denial
    return None


def _latest(found: Iterable[Denial | None]) -> Denial | None:
    """Returns the denial with the latest end; None if there is none."""
    return max((one for one in found if one), key=lambda denial: denial.until_ms, default=None)


class Denials:
    """All denials, by project."""

    def __init__(self, denials: Iterable[Denial] = ()) -> None:
        by_project: dict[str, list[Denial]] = {}
        for denial in denials:
            by_project.setdefault(denial.project, []).append(denial)
        self._projects = {name: _ProjectDenials(rows) for name, rows in by_project.items()}

    def find(self, project: str, accesses: Iterable[ServiceAccess], now_ms: int) -> Denial | None:
        """Returns the denial with the latest end that applies to a token; None if none does.

        Names, and patterns that begin with text, cost a lookup; other patterns and requests for
        wildcards a comparison with each denial.

        Args:
            project: The project of the token.
            accesses: The services of the token.
            now_ms: Milliseconds since 1970.
        """
        denials = self._projects.get(project)
        if denials is None:
            return None
        return _latest(denials.find(access, now_ms) for access in accesses)

    def check(self, project: str, accesses: Iterable[ServiceAccess], now_ms: int) -> None:
        """Refuses a token that a denied user could use, or in a denied channel or room.

        Raises:
            Refusal: DENIED.
        """
        if self._projects and (denial := self.find(project, accesses, now_ms)):
            detail = f"{denial}; {denial.reason}" if denial.reason else str(denial)
            raise denied(project, rfc_3339(denial.until_ms), detail)


NO_DENIALS: Final = Denials()
"""An empty stop list."""
