"""Denials (the stop list): refuse new tokens to denied users, channels and rooms. Pure.

A denial applies to every token that a denied user could use, or that works in a denied channel or
room. It does not revoke issued tokens.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from token_authority_server.access.denial import (
    ACCOUNT,
    EVERY_ROOM,
    UID,
    WHITEBOARD,
    Denial,
    DenialRule,
    canonical_room,
    is_uuid,
    readings_of_006,
    users_of,
)
from token_authority_server.access.denial_index import KeyChooser, NameIndex, OverlapIndex
from token_authority_server.audit import rfc_3339
from token_authority_server.errors import denied
from token_authority_server.families import ServiceAccess

_NO_SCOPES: Final[Mapping[str, "Scopes"]] = MappingProxyType({})


def _user_patterns(denial: Denial) -> Collection[str]:
    user = (denial.user or "").lower()
    return {user, user.replace(ACCOUNT, UID, 1)}


def _place_patterns(denial: Denial) -> Collection[str]:
    if denial.room is not None:
        return {denial.room, canonical_room(denial.room)}
    return {denial.channel or ""}


class _ScopeDenials:
    """The denials of one scope and the same types of tokens."""

    def __init__(self, denials: Iterable[Denial]) -> None:
        rules = sorted(map(DenialRule, denials), key=lambda rule: -rule.denial.until_ms)
        users = [rule for rule in rules if not _has_place(rule.denial)]
        places = [rule for rule in rules if rule.denial.user is None]
        both = [rule for rule in rules if rule.denial.user is not None and _has_place(rule.denial)]
        users_first = [rule.denial for rule in (*users, *both)]
        places_first = [rule.denial for rule in (*places, *both)]
        by_user = KeyChooser(users_first, _user_patterns)
        by_place = KeyChooser(places_first, _place_patterns)
        # A user in a place is found by the rarer of the two.
        by_rarer: dict[bool, list[DenialRule]] = {True: [], False: []}
        for rule in both:
            is_user = by_user.shared_by(rule.denial) < by_place.shared_by(rule.denial)
            by_rarer[is_user].append(rule)
        found_by_place = sorted([*places, *by_rarer[False]], key=lambda rule: -rule.denial.until_ms)
        self._all = rules
        self._users = users
        self._channels = [rule for rule in places if rule.denial.channel is not None]
        self._rooms = [rule for rule in places if rule.denial.room is not None]
        self._by_user = NameIndex(users, by_user)
        self._by_place = NameIndex(found_by_place, by_place)
        self._by_rarer_user = NameIndex(by_rarer[True], by_user)
        self._by_overlap = OverlapIndex(found_by_place)
        # For requests that name one of the two, and have a wildcard for the other.
        self._both_by_user = NameIndex(both, by_user)
        self._both_by_place = NameIndex(both, by_place)

    def find(self, access: ServiceAccess, after_ms: int) -> Denial | None:
        """Returns the denial with the latest end that applies to a service.

        Args:
            access: The service.
            after_ms: Denials that end by then are left out; milliseconds since 1970.
        """
        return _latest(self._candidates(access), access, after_ms)

    def find_in_channel(self, access: ServiceAccess, after_ms: int) -> Denial | None:
        """Returns what `find` returns, of the denials that are for a channel."""
        return _latest(self._place_candidates(access), access, after_ms)

    def _candidates(self, access: ServiceAccess) -> Iterator[Iterable[DenialRule]]:
        """Yields the rules that can apply; of each iterable, the latest end first."""
        if access.any_user:
            yield self._users
        else:
            for user in users_of(access):
                yield from self._by_user.candidates(user.lower())
        yield from self._place_candidates(access)

    def _place_candidates(self, access: ServiceAccess) -> Iterator[Iterable[DenialRule]]:
        """Yields those of `_candidates` that are for a channel or room."""
        if access.any_user and (access.any_channel or access.channel_pattern is not None):
            # Refused before (families.channel_user).
            yield self._all
            return
        users = [user.lower() for user in users_of(access)]
        if access.any_channel:
            yield self._channels
            for user in users:
                yield from self._both_by_user.candidates(user)
            return
        if access.token_type == EVERY_ROOM:
            yield self._rooms
        if access.channel_pattern is not None:
            yield from self._by_overlap.candidates(access.channel_pattern)
        for place in _places_of(access):
            yield from self._by_place.candidates(place)
            if access.any_user:
                yield from self._both_by_place.candidates(place)
        if access.has_channel or access.room is not None:
            for user in users:
                yield from self._by_rarer_user.candidates(user)


def _places_of(access: ServiceAccess) -> Iterator[str]:
    """Yields the names of the channel or room that a service of a token is for."""
    if access.channel is not None:
        yield access.channel
    if access.room is not None:
        yield access.room
        if is_uuid(access.room):
            yield canonical_room(access.room)


def _has_place(denial: Denial) -> bool:
    return denial.channel is not None or denial.room is not None


def _latest(
    candidates: Iterable[Iterable[DenialRule]], access: ServiceAccess, after_ms: int
) -> Denial | None:
    """Returns the denial that applies with the latest end, if it ends after a time.

    Args:
        candidates: The rules; of each iterable, the latest end first.
        access: The service.
        after_ms: Milliseconds since 1970.
    """
    found = None
    for rules in candidates:
        for rule in rules:
            if rule.denial.until_ms <= after_ms:
                break
            if rule.applies_to(access):
                found = rule.denial
                after_ms = found.until_ms
                break
    return found


def _of_types(accesses: Iterable[ServiceAccess], types: Collection[str]) -> Iterator[ServiceAccess]:
    """Yields the services of some types of tokens; no types: of all."""
    return (access for access in accesses if not types or access.token_type in types)


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
        by_scope: dict[str, dict[frozenset[str], list[Denial]]] = {}
        for denial in denials:
            app, boards = self._scopes(denial.project)
            # Whiteboard tokens have no user and no channel.
            for scope in (app, *boards) if denial.room is not None else (app,):
                by_types = by_scope.setdefault(scope, {})
                by_types.setdefault(denial.token_types, []).append(denial)
        self._denials = {
            scope: [(types, _ScopeDenials(rows)) for types, rows in by_types.items()]
            for scope, by_types in by_scope.items()
        }

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

        The cost depends on the names in the request, and hardly on the number of denials.

        Args:
            project: The project of the token.
            accesses: The services of the token.
            now_ms: Milliseconds since 1970.
            is_006: Whether its format is 006. Denials of channels then also apply to what the token
                can be altered to be for; those of users alone do not, as they would to all tokens.
        """
        app, boards = self._scopes(project)
        found: Denial | None = None

        def after_ms() -> int:
            return found.until_ms if found else now_ms

        for types, denials in self._denials.get(app, ()):
            for access in _of_types(accesses, types):
                found = denials.find(access, after_ms()) or found
                for reading in readings_of_006(access) if is_006 else ():
                    found = denials.find_in_channel(reading, after_ms()) or found
        for scope in boards:
            for types, denials in self._denials.get(scope, ()):
                for access in _of_types(_of_types(accesses, WHITEBOARD), types):
                    found = denials.find(access, after_ms()) or found
        return found

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
