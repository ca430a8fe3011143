"""The denials of one scope, indexed by their users, channels and rooms. Pure."""

from collections.abc import Collection, Iterable, Iterator

from token_authority_server.access.denial import (
    ACCOUNT,
    EVERY_ROOM,
    UID,
    Denial,
    DenialRule,
    canonical_room,
    is_uuid,
    users_of,
)
from token_authority_server.access.denial_index import KeyChooser, NameIndex, OverlapIndex
from token_authority_server.families import ServiceAccess


def _user_patterns(denial: Denial) -> Collection[str]:
    user = (denial.user or "").lower()
    return {user, user.replace(ACCOUNT, UID, 1)}


def _place_patterns(denial: Denial) -> Collection[str]:
    if denial.room is not None:
        return {denial.room, canonical_room(denial.room)}
    return {denial.channel or ""}


class ScopeDenials:
    """The denials of one scope and the same types of tokens."""

    def __init__(self, denials: Iterable[Denial]) -> None:
        rules = sorted(map(DenialRule, denials), key=lambda rule: -rule.denial.until_ms)
        with_user = [rule for rule in rules if rule.denial.user is not None]
        with_place = [rule for rule in rules if _has_place(rule.denial)]
        by_user = KeyChooser([rule.denial for rule in with_user], _user_patterns)
        by_place = KeyChooser([rule.denial for rule in with_place], _place_patterns)
        both = [rule for rule in with_user if _has_place(rule.denial)]
        # A user in a place is found by the rarer of the two.
        rarer_users = {
            rule
            for rule in both
            if by_user.shared_by(rule.denial) < by_place.shared_by(rule.denial)
        }
        found_by_place = [rule for rule in with_place if rule not in rarer_users]
        places = [rule for rule in rules if rule.denial.user is None]
        self.rules = rules
        """All rules, the latest end first."""
        self._users = [rule for rule in with_user if not _has_place(rule.denial)]
        self._channels = [rule for rule in places if rule.denial.channel is not None]
        self._rooms = [rule for rule in places if rule.denial.room is not None]
        self._by_user = NameIndex(self._users, by_user)
        self._by_place = NameIndex(found_by_place, by_place)
        self._by_rarer_user = NameIndex([rule for rule in both if rule in rarer_users], by_user)
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
            yield self.rules
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
