"""What every kind of token has in common: its place in the contract, and how long it lives."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Generic, Literal, NamedTuple, Protocol, TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from token_authority.v1 import issued_token_pb2
from token_authority_server.errors import FieldViolation, invalid_request
from token_authority_server.formats.netless import nonce_text
from token_authority_server.keyring import KeyT

SECOND_MS: Final = 1000
DAY_MS: Final = 86_400_000
DEFAULT_TTL_MS: Final = 3_600_000


class Moment(NamedTuple):
    """Issue time and random bytes for one token, injected from outside the core."""

    now_ms: int
    """Milliseconds since 1970."""
    salt: int
    """A fresh random u32."""
    random_bytes: bytes
    """16 fresh random bytes more."""

    @property
    def nonce(self) -> str:
        """A UUIDv4 of them (v1 would leak the host's address and clock)."""
        return nonce_text(self.random_bytes)


@dataclass(frozen=True, slots=True)
class Advisory:
    """Something that will work and still surprise."""

    reason: str
    description: str


Dimension = Literal["roles", "channels", "users", "rooms"]
"""What a grant has patterns for."""


@dataclass(frozen=True, slots=True)
class TokenType:
    """A kind of token as grants name it: `rtc`, `whiteboard.room`."""

    name: str
    dimensions: tuple[Dimension, ...] = ()
    """What a grant for it has to bound."""
    explicit: bool = False
    """Whether the family's name (`whiteboard`) leaves it out: it has to be named in full."""
    roles: tuple[str, ...] = ()
    """Its roles, as grants name them; empty where it has none, or any (education's numbers)."""


class ServiceAccess(NamedTuple):
    """One service that a token would carry: a grant has to allow it as if it stood alone."""

    kind: str
    """The name of its TokenType."""
    role: str | None = None
    channel: str | None = None
    """A channel; None where the kind has none, or with `any_channel`."""
    user: str | None = None
    """`uid:7` or `account:alice`; None where the kind has none, or with `any_user`."""
    room: str | None = None
    any_channel: bool = False
    any_user: bool = False


@dataclass(frozen=True, slots=True)
class TtlUnit:
    """The grid on which a format writes time, and the word for it."""

    ms: int
    name: str


SECONDS: Final = TtlUnit(SECOND_MS, "second")
MILLISECONDS: Final = TtlUnit(1, "millisecond")

TTL_CLAMPED: Final = "TTL_CLAMPED"
_NO_LIVES: Final[Mapping[str, int]] = {}


class Terms(NamedTuple):
    """What a request comes to, key and chance apart: the rest of the answer follows from it."""

    format: issued_token_pb2.TokenFormat.ValueType
    issue_ms: int
    """Milliseconds since 1970, on the grid that the format can write."""
    ttl_ms: int | None
    """The life of the token; None for one that never expires."""
    advisories: Sequence[Advisory]
    ttl_is_default: bool = False
    """Whether the request leaves the life of the token to the grant."""
    own_ms: Mapping[str, int] = _NO_LIVES
    """The lifetimes of their own that rights were given, by field path."""
    logins: frozenset[str] = frozenset()
    """The paths of rights without which the token is of no use to its holder."""

    @property
    def usable_ms(self) -> int | None:
        """How long joining or logging in works: `ttl_ms` or less."""
        if self.ttl_ms is None or not self.own_ms:
            return self.ttl_ms
        return min([self.ttl_ms, *[ms for path, ms in self.own_ms.items() if path in self.logins]])

    def with_ttl(self, ttl_ms: int) -> "Terms":
        """Returns the same terms for the life that the grant gives where the request is silent.

        Raises:
            Refusal: INVALID_REQUEST: a right would outlive its token.
        """
        if self.own_ms and (violations := list(outliving(self.own_ms, ttl_ms))):
            raise invalid_request(violations)
        return self if ttl_ms == self.ttl_ms else self._replace(ttl_ms=ttl_ms)

    def clamped(self, max_ttl_ms: int) -> "Terms":
        """Returns the same terms, cut down to a life; `sign` cuts down the rights as well."""
        advisory = Advisory(
            TTL_CLAMPED,
            f"The grant allows no longer life than {max_ttl_ms / 1000:g} s: it was cut down to "
            "that, as the grant says.",
        )
        return self._replace(ttl_ms=max_ttl_ms, advisories=(*self.advisories, advisory))


def outliving(own_ms: Mapping[str, int], ttl_ms: int) -> Iterator[FieldViolation]:
    """Yields the rights that would outlive their token."""
    for path, life_ms in own_ms.items():
        if life_ms > ttl_ms:
            yield FieldViolation(
                path,
                "PRIVILEGE_OUTLIVES_TOKEN",
                "must not be longer than the token lives: raise the token's ttl, or lower this",
            )


RequestT = TypeVar("RequestT", bound=Message)


class TokenFamily(ABC, Generic[RequestT, KeyT]):
    """A kind of token: one Issue RPC, one kind of key, one rule book.

    Stateless; `kinds.FAMILIES` has the one instance of each. A new kind is a module like its
    siblings and a line in that tuple.
    """

    name: ClassVar[str]
    """A short name for it, unique."""
    request_type: type[RequestT]
    """The RPC's request message, by which the contract's service finds its kind."""
    response_type: type[Message]
    """The RPC's response message: `issued_token` and `decision`."""
    key_type: type[KeyT]
    """The product whose keys sign."""
    max_ttl_ms: ClassVar[int]
    """The longest life that Agora documents, or that we allow."""
    unit: ClassVar[TtlUnit]
    """The grid of its times."""
    token_types: ClassVar[tuple[TokenType, ...]]
    """The kinds of token that grants tell apart here."""

    @abstractmethod
    def parts(self, request: RequestT) -> Sequence[ServiceAccess]:
        """Returns every service that the token would carry, for grants to judge.

        It reads requests whose single fields are valid.
        """

    @abstractmethod
    def terms(self, request: RequestT, now_ms: int) -> Terms:
        """Reads a request whose single fields are valid.

        Raises:
            Refusal: INVALID_REQUEST with every rule it breaks over several fields or the clock.
        """

    @abstractmethod
    def sign(self, request: RequestT, terms: Terms, key: KeyT, moment: Moment) -> str:
        """Builds the token."""


class HasExpiration(Protocol):
    """A request with the oneof `expiration`."""

    @property
    def expire_time(self) -> Timestamp:
        """The end as a moment."""
        ...

    @property
    def ttl(self) -> Duration:
        """The end as a lifetime."""
        ...


def requested_ttl_ms(
    request: HasExpiration,
    expiration: str | None,
    now_ms: int,
    unit: TtlUnit,
    max_ttl_ms: int,
    violations: list[FieldViolation],
    default_ms: int = DEFAULT_TTL_MS,
) -> int | None:
    """Returns the life that a request asks for, as a multiple of the unit; None for "never".

    Args:
        request: Its `ttl` is already known to be within the contract's limits.
        expiration: Which member of the oneof is set.
        now_ms: Milliseconds since 1970.
        unit: The grid of the token's format.
        max_ttl_ms: The longest life of this kind of token.
        violations: Gets what is wrong; the result then means nothing.
        default_ms: What an unset expiration means.
    """
    match expiration:
        case "non_expiring":
            return None
        case "ttl":
            return duration_ms(request.ttl, "ttl", unit, violations)
        case "expire_time":
            return _ms_until(request.expire_time, now_ms, unit, max_ttl_ms, violations)
        case _:
            return default_ms


def _ms_until(
    end: Timestamp, now_ms: int, unit: TtlUnit, max_ttl_ms: int, violations: list[FieldViolation]
) -> int:
    end_ms = end.seconds * 1000 + end.nanos // 1_000_000
    # Counted from the moment the token will carry, so that a moment on the grid is met exactly.
    ttl_ms = (end_ms - now_ms // unit.ms * unit.ms) // unit.ms * unit.ms
    if not 0 <= end.nanos < 1_000_000_000:
        problem = ("TIMESTAMP_INVALID", "must be a valid Timestamp: nanos from 0 to 999999999")
    elif end_ms - now_ms < unit.ms:
        # Flooring to 0 would ask for a day (007) or for ever (whiteboard).
        problem = (
            "EXPIRE_TIME_TOO_EARLY",
            f"must be at least 1 {unit.name} after the time of issue, by the server's clock",
        )
    elif ttl_ms > max_ttl_ms:
        problem = (
            "EXPIRE_TIME_TOO_LATE",
            f"must be at most {max_ttl_ms // 3_600_000} hours after the time of issue, "
            "by the server's clock",
        )
    else:
        return ttl_ms
    violations.append(FieldViolation("expire_time", *problem))
    return unit.ms


def duration_ms(
    duration: Duration, field: str, unit: TtlUnit, violations: list[FieldViolation]
) -> int:
    """Returns a duration that is a whole number of units; else adds a violation for `field`."""
    if not 0 <= duration.nanos < 1_000_000_000 or duration.nanos % (unit.ms * 1_000_000):
        reason = f"NOT_WHOLE_{unit.name.upper()}S"
        violations.append(FieldViolation(field, reason, f"must be a whole number of {unit.name}s"))
    return duration.seconds * 1000 + duration.nanos // 1_000_000
