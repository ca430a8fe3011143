"""Lifetimes: how long a token and its privileges are valid."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from token_authority.v1 import issued_token_pb2
from token_authority_server.errors import FieldViolation, invalid_request
from token_authority_server.families.advisories import Advisory, lifetime_advisories, ttl_clamped

SECOND_MS: Final = 1000
DAY_MS: Final = 86_400_000
DEFAULT_TTL_MS: Final = 3_600_000
NO_TTLS: Final[Mapping[str, int]] = {}
NO_FIELDS: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True, slots=True)
class TtlUnit:
    """The resolution of a format's times."""

    ms: int
    name: str


SECONDS: Final = TtlUnit(SECOND_MS, "second")
MILLISECONDS: Final = TtlUnit(1, "millisecond")


class Terms(NamedTuple):
    """A token's format, issue time, lifetimes and advisories."""

    format: issued_token_pb2.TokenFormat.ValueType
    issue_ms: int
    """Milliseconds since 1970, a multiple of the format's unit."""
    ttl_ms: int | None
    """The token's lifetime; None if it never expires."""
    advisories: Sequence[Advisory]
    ttl_is_default: bool = False
    """Whether the request leaves the token's lifetime to the grant."""
    privilege_ttls_ms: Mapping[str, int] = NO_TTLS
    """The lifetimes that the request sets for single privileges, by field path."""
    entries: frozenset[str] = NO_FIELDS
    """The paths of privileges to join or log in, without which the token is useless."""

    @property
    def usable_ms(self) -> int | None:
        """How long joining or logging in works: `ttl_ms` or less; None for ever."""
        if self.ttl_ms is None or not self.privilege_ttls_ms:
            return self.ttl_ms
        entry_ttls_ms = [
            ttl_ms for path, ttl_ms in self.privilege_ttls_ms.items() if path in self.entries
        ]
        return min([self.ttl_ms, *entry_ttls_ms])

    def with_ttl(self, ttl_ms: int) -> "Terms":
        """Returns the same terms with the grant's default lifetime.

        Raises:
            Refusal: INVALID_REQUEST: a privilege would outlive the token.
        """
        violations = list(outliving(self.privilege_ttls_ms, ttl_ms))
        if violations:
            raise invalid_request(violations)
        return self if ttl_ms == self.ttl_ms else self._replace(ttl_ms=ttl_ms)

    def with_advisories(self, advisories: Iterable[Advisory]) -> "Terms":
        """Returns final terms with these warnings and those about the lifetime."""
        can_be_renewed = self.format != issued_token_pb2.TOKEN_FORMAT_NETLESS
        about_lifetime = lifetime_advisories(self.usable_ms, can_be_renewed=can_be_renewed)
        found = (*self.advisories, *advisories, *about_lifetime)
        return self if found == self.advisories else self._replace(advisories=found)

    def clamped(self, max_ttl_ms: int) -> "Terms":
        """Returns the same terms with a shorter lifetime; `sign` shortens the privileges."""
        advisories = (*self.advisories, ttl_clamped(max_ttl_ms))
        return self._replace(ttl_ms=max_ttl_ms, advisories=advisories)


def outliving(privilege_ttls_ms: Mapping[str, int], ttl_ms: int) -> Iterator[FieldViolation]:
    """Yields a violation for each privilege that would outlive the token."""
    for path, privilege_ttl_ms in privilege_ttls_ms.items():
        if privilege_ttl_ms > ttl_ms:
            yield FieldViolation(
                path,
                "PRIVILEGE_OUTLIVES_TOKEN",
                "must not exceed the token's lifetime: raise the token's ttl, or lower this one",
            )
