"""Denials (the deny list): refuse new tokens to denied users, channels and rooms. Pure.

A denial applies to every token that a denied user could use, or that works in a denied channel or
room. It does not revoke issued tokens.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import Final, NamedTuple

from token_authority_server.access.denial import WHITEBOARD, Denial, DenialRule, readings_of_006
from token_authority_server.access.scope_denials import ScopeDenials
from token_authority_server.audit import rfc_3339
from token_authority_server.errors import denied
from token_authority_server.families import ServiceAccess

_NO_SCOPES: Final[Mapping[str, "Scopes"]] = MappingProxyType({})


def _of_types(accesses: Iterable[ServiceAccess], types: Collection[str]) -> Iterator[ServiceAccess]:
    """Yields the services of some types of tokens; of all types if `types` is empty."""
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
            scope: [(types, ScopeDenials(rows)) for types, rows in by_types.items()]
            for scope, by_types in by_scope.items()
        }

    @property
    def rules(self) -> Iterable[DenialRule]:
        """The rules of all scopes, which are most of its memory."""
        return chain.from_iterable(
            denials.rules for by_types in self._denials.values() for _, denials in by_types
        )

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
"""An empty deny list."""
