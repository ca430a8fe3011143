"""Denials (the stop list): refuse new tokens to denied users, channels and rooms. Pure.

A denial applies to every token that a denied user could use, or that works in a denied channel or
room. It does not revoke issued tokens.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import Final, NamedTuple

from token_authority_server.access.denial import (
    ACCOUNT,
    UID,
    WHITEBOARD,
    Denial,
    DenialRule,
    canonical_room,
    is_uuid,
    readings_of_006,
    users_of,
)
from token_authority_server.audit import rfc_3339
from token_authority_server.errors import denied
from token_authority_server.families import ServiceAccess

_NO_SCOPES: Final[Mapping[str, "Scopes"]] = MappingProxyType({})


class _Index:
    """Rules by one of their patterns: names and prefixes are looked up, other patterns listed.

    Args:
        rules: The rules, the latest end first.
        patterns: Returns the patterns of a rule; a name that is found matches one of them.
    """

    def __init__(
        self, rules: Iterable[DenialRule], patterns: Callable[[Denial], Collection[str]]
    ) -> None:
        self._names: dict[str, list[DenialRule]] = {}
        self._prefixes: dict[str, list[DenialRule]] = {}
        for rule in rules:
            for pattern in patterns(rule.denial):
                prefix, star, _ = pattern.partition("*")
                found = self._prefixes if star else self._names
                found.setdefault(prefix, []).append(rule)
        self._lengths = sorted({len(prefix) for prefix in self._prefixes})

    def candidates(self, name: str) -> Iterator[Sequence[DenialRule]]:
        """Yields lists of the rules that can match a name."""
        yield self._names.get(name, ())
        for length in self._lengths:
            yield self._prefixes.get(name[:length], ())


def _user_patterns(denial: Denial) -> Collection[str]:
    user = (denial.user or "").lower()
    return {user, user.replace(ACCOUNT, UID, 1)}


def _place_patterns(denial: Denial) -> Collection[str]:
    if denial.room is not None:
        return {denial.room, canonical_room(denial.room)}
    return {denial.channel or ""}


class _ScopeDenials:
    """The denials of one scope, the latest end first."""

    def __init__(self, denials: Iterable[Denial]) -> None:
        rules = sorted(map(DenialRule, denials), key=lambda rule: -rule.denial.until_ms)
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

    def find_in_channel(self, access: ServiceAccess, now_ms: int) -> Denial | None:
        """Returns what `find` returns, of the denials that are for a channel."""
        channel = access.channel or ""
        indexes = (self._of_users_by_place, self._by_place)
        candidates = (rules for index in indexes for rules in index.candidates(channel))
        return _latest(_first(rules, access, now_ms) for rules in candidates)

    def _candidates(self, access: ServiceAccess) -> Iterator[Sequence[DenialRule]]:
        """Yields lists of the rules that can apply."""
        places = {access.channel} if access.channel is not None else set[str]()
        if access.room is not None:
            places.add(access.room)
            if is_uuid(access.room):
                places.add(canonical_room(access.room))
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


def _first(rules: Sequence[DenialRule], access: ServiceAccess, now_ms: int) -> Denial | None:
    for rule in rules:
        if rule.denial.until_ms <= now_ms:
            return None
        if rule.applies_to(access):
            return rule.denial
    return None


def _latest(found: Iterable[Denial | None]) -> Denial | None:
    """Returns the denial with the latest end; None if there is none."""
    return max((one for one in found if one), key=lambda denial: denial.until_ms, default=None)


class Scopes(NamedTuple):
    """Where the tokens of a project work. Projects with a scope in common share its denials."""

    app: str
    """The scope of all tokens."""
    boards: tuple[str, ...] = ()
    """Further scopes of its whiteboard tokens."""


class Denials:
    """All denials, by scope.

    Args:
        denials: The denials.
        scopes: The scopes of projects; one that is missing shares no denials.
    """

    def __init__(
        self, denials: Iterable[Denial] = (), scopes: Mapping[str, Scopes] = _NO_SCOPES
    ) -> None:
        self._scopes_of = scopes
        by_scope: dict[str, list[Denial]] = {}
        for denial in denials:
            app, boards = self._scopes(denial.project)
            # Whiteboard tokens have no user and no channel.
            for scope in (app, *boards) if denial.room is not None else (app,):
                by_scope.setdefault(scope, []).append(denial)
        self._denials = {scope: _ScopeDenials(rows) for scope, rows in by_scope.items()}

    def _scopes(self, project: str) -> Scopes:
        return self._scopes_of.get(project) or Scopes(project)

    def find(
        self,
        project: str,
        accesses: Sequence[ServiceAccess],
        now_ms: int,
        *,
        is_006: bool = False,
    ) -> Denial | None:
        """Returns the denial with the latest end that applies to a token; None if none does.

        Names, and patterns that begin with text, cost a lookup; other patterns and requests for
        wildcards a comparison with each denial.

        Args:
            project: The project of the token.
            accesses: The services of the token.
            now_ms: Milliseconds since 1970.
            is_006: Whether its format is 006. Denials of channels then also apply to what the token
                can be altered to be for; those of users alone do not, as they would to all tokens.
        """
        app, boards = self._scopes(project)
        found: list[Denial | None] = []
        if denials := self._denials.get(app):
            found += [denials.find(access, now_ms) for access in accesses]
            if is_006:
                readings = chain.from_iterable(map(readings_of_006, accesses))
                found += [denials.find_in_channel(access, now_ms) for access in readings]
        for scope in boards:
            if denials := self._denials.get(scope):
                found += [
                    denials.find(access, now_ms)
                    for access in accesses
                    if access.token_type in WHITEBOARD
                ]
        return _latest(found)

    def check(
        self,
        project: str,
        accesses: Sequence[ServiceAccess],
        now_ms: int,
        *,
        is_006: bool = False,
    ) -> None:
        """Refuses a token that a denied user could use, or in a denied channel or room.

        Raises:
            Refusal: DENIED.
        """
        if self._denials and (denial := self.find(project, accesses, now_ms, is_006=is_006)):
            detail = f"{denial}; {denial.reason}" if denial.reason else str(denial)
            raise denied(project, rfc_3339(denial.until_ms), detail)


NO_DENIALS: Final = Denials()
"""An empty stop list."""
