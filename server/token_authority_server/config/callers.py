"""`[[callers]]`: who may ask, and their grants."""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from hashlib import sha256
from typing import Annotated, Final, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from token_authority_server.access.callers import Caller
from token_authority_server.access.grants import Allowance, Grant
from token_authority_server.access.patterns import Patterns
from token_authority_server.config.section import NAME, Section
from token_authority_server.config.values import DurationText, NotEmpty, up_to
from token_authority_server.families import FAMILIES
from token_authority_server.families.base import Dimension, TokenType, TtlUnit
from token_authority_server.identity.directory import API_KEY, CLAIM, DNS, LOCAL, SPIFFE
from token_authority_server.limits import Quota

TOKEN_KINDS: Final[Mapping[str, TokenType]] = {
    token_kind.name: token_kind for kind in FAMILIES for token_kind in kind.token_types
}
_UNITS: Final[Mapping[str, TtlUnit]] = {
    token_kind.name: kind.unit for kind in FAMILIES for token_kind in kind.token_types
}
_FAMILIES: Final[Mapping[str, frozenset[str]]] = {
    family: frozenset(
        name
        for name, kind in TOKEN_KINDS.items()
        if name.partition(".")[0] == family and not kind.explicit
    )
    for family in {name.partition(".")[0] for name in TOKEN_KINDS}
}
_EMPTY_KEY: Final = f"{API_KEY}{sha256().hexdigest()}"
_DAY: Final = timedelta(days=1)
_IDENTITIES: Final = (
    (LOCAL, "local"),
    (SPIFFE, r"spiffe://[a-z0-9._-]+(/[A-Za-z0-9._-]+)+"),
    (DNS, r"dns:[A-Za-z0-9._-]+"),
    (API_KEY, r"api-key:sha256:[0-9a-f]{64}"),
    (CLAIM, r"jwt:[A-Za-z0-9_.:/-]+=[!-~]+"),
)


def _identity(value: str) -> str:
    if not any(re.fullmatch(pattern, value) for _, pattern in _IDENTITIES):
        raise ValueError(
            'must be "spiffe://TRUST-DOMAIN/PATH", "dns:NAME", "jwt:CLAIM=VALUE", '
            '"api-key:sha256:…" as `token-authority api-key new` prints it, or "local"'
        )
    if value == _EMPTY_KEY:
        raise ValueError("is the hash of nothing, which anyone can send: hash the key")
    return value


def _token(value: str) -> str:
    if value not in TOKEN_KINDS and not _FAMILIES.get(value):
        known = sorted({*TOKEN_KINDS, *(name for name, members in _FAMILIES.items() if members)})
        raise ValueError(f"is not a kind of token: one of {', '.join(known)}")
    return value


def _pattern(value: str) -> str:
    if not value or not value.isascii() or not value.isprintable():
        raise ValueError(
            "must be printable ASCII characters, of which '*' stands for any: Agora allows no "
            "others, and look-alikes would match nothing"
        )
    return value


def _user_pattern(value: str) -> str:
    if value != "*" and not re.fullmatch(r"uid:[0-9*]+|account:.+", value):
        raise ValueError('must be "uid:7", "uid:*", "account:al*" or "*" (both, never any_user)')
    if re.fullmatch(r"uid:(0[0-9]*|[0-9]{11,})", value):
        raise ValueError('is no uid: 1 to 4294967295; for anyone, allow "any_user"')
    return _pattern(value)


def _rates(value: object) -> Quota:
    if not isinstance(value, str):
        raise ValueError('must be text like "200/second; 10000/hour"')  # noqa: TRY004  # pydantic
    return Quota.parse(value)


Identity = Annotated[str, AfterValidator(_identity)]
Pattern = Annotated[str, AfterValidator(_pattern)]
UserPattern = Annotated[str, AfterValidator(_user_pattern)]
AllowText = Annotated[Allowance, Field()]


class GrantSettings(Section):
    """`[[callers.grants]]`: what a caller may have of one project.

    A grant has to bound what its tokens have: roles, channels, users, rooms. In their patterns `*`
    stands for any characters; nothing else is special, and case matters.
    """

    name: Annotated[str, Field(pattern=NAME)]
    """A name of your own, unique for the caller; refusals and decisions name it."""

    project: str
    """The project."""

    tokens: tuple[Annotated[str, AfterValidator(_token)], ...] = ()
    """Kinds: `rtc`, `whiteboard.room`, or a family like `whiteboard`, which leaves out what opens
    all of a project (`whiteboard.sdk`, `chat.app`, `education.app`): name that in full. A composed
    token (`access_token`) needs that and the kinds of all its services."""

    roles: tuple[Pattern, ...] = ()
    """`publisher`, `subscriber` (rtc, fcdn; streaming: publisher), `admin`, `writer`, `reader`
    (whiteboard), Agora's numbers (education)."""

    channels: tuple[Pattern, ...] = ()
    """Channels, e.g. `lesson-*`. Never any_channel."""

    users: tuple[UserPattern, ...] = ()
    """Users: `uid:7`, `account:al*`. Never any_user. In a channel an account that is written like a
    uid is one: the token is the same."""

    rooms: tuple[Pattern, ...] = ()
    """UUIDs of whiteboard rooms and tasks, and of classrooms."""

    max_ttl: Annotated[DurationText, up_to(timedelta(days=3650), "3650d")] = _DAY
    """The longest life of a token. 1ms to 3650d; 006 and 007 tokens live 1s to 24h."""

    default_ttl: Annotated[DurationText, up_to(timedelta(days=3650), "3650d")] | None = None
    """The life of a token where the request does not say; absent: 1h, or max_ttl if shorter."""

    above_max_ttl: Literal["refuse", "clamp"] = "refuse"
    """What becomes of a request for a longer life: refused, or cut down with an advisory."""

    allow: tuple[AllowText, ...] = ()
    """What has to be said in words: `any_user`, `any_channel`, `non_expiring`, `v006`; `inspect`
    (explain tokens, by the project's keys) and `list_keys`."""

    @model_validator(mode="after")
    def _check(self) -> "GrantSettings":
        if not self.tokens and not {"inspect", "list_keys"} & set(self.allow):
            raise ValueError('grants nothing: name `tokens`, or allow "inspect" or "list_keys"')
        if not self.max_ttl:
            raise ValueError("max_ttl must be at least 1ms")
        if self.default_ttl is not None and not timedelta(0) < self.default_ttl <= self.max_ttl:
            raise ValueError("default_ttl must be at least 1ms and at most max_ttl")
        for name in sorted(self.kinds()):
            # Cut down to the grid, a life might be 0 there, which stands for a day or for ever.
            for option in ("max_ttl", "default_ttl"):
                life, unit = getattr(self, option), _UNITS[name]
                if life is not None and _ms(life) % unit.ms:
                    raise ValueError(f"{option} must be whole {unit.name}s, for {name} tokens")
        needed = {
            dimension: name for name in sorted(self.kinds()) for dimension in _dimensions(name)
        }
        for dimension in get_args(Dimension):
            patterns = getattr(self, dimension)
            if dimension in needed and not patterns:
                raise ValueError(
                    f'has to say which {dimension}, for {needed[dimension]} tokens: "*" for all'
                )
            if patterns and dimension not in needed:
                raise ValueError(f"has {dimension}, which none of its tokens has: remove them")
        self._check_roles()
        return self

    def _check_roles(self) -> None:
        """Refuses a misspelt role, which would grant nothing."""
        kinds = [TOKEN_KINDS[name] for name in self.kinds()]
        if any("roles" in kind.dimensions and not kind.roles for kind in kinds):
            return
        known = sorted({role for kind in kinds for role in kind.roles})
        for pattern in self.roles:
            if not any(map(Patterns([pattern]).match, known)):
                raise ValueError(
                    f"has the role {pattern}, which none of its tokens has: {', '.join(known)}"
                )

    def kinds(self) -> frozenset[str]:
        """Returns the names of the kinds of token, families spelt out."""
        named = [
            _FAMILIES[token] if token not in TOKEN_KINDS else frozenset((token,))
            for token in self.tokens
        ]
        return frozenset[str]().union(*named)

    def grant(self) -> Grant:
        """Returns the grant, ready to decide."""
        return Grant(
            name=self.name,
            project=self.project,
            kinds=self.kinds(),
            roles=Patterns(self.roles),
            channels=Patterns(self.channels),
            users=Patterns(self.users),
            rooms=Patterns(self.rooms),
            max_ttl_ms=_ms(self.max_ttl),
            default_ttl_ms=None if self.default_ttl is None else _ms(self.default_ttl),
            clamps_ttl=self.above_max_ttl == "clamp",
            allow=frozenset(self.allow),
        )


class CallerSettings(Section):
    """`[[callers]]`: a service that may ask for tokens."""

    name: Annotated[str, Field(pattern=NAME)]
    """A name of your own; it stands in the log, the audit trail and answers."""

    identities: Annotated[tuple[Identity, ...], NotEmpty]
    """What shows that it is this caller: a name in its client certificate (`spiffe://…`, `dns:…`),
    a claim of its JWT (`jwt:sub=…`), the hash of its API key (`api-key:sha256:…`); or `local`:
    whoever reaches the server without a credential, where it listens on this machine only."""

    default_project: str = ""
    """The project that its requests mean when they name none; absent: the only one it has grants
    for."""

    rate_limit: Annotated[Quota, BeforeValidator(_rates)] = Quota()
    """Tokens in a time, like `200/second; 10000/hour`; a batch counts its tokens. Absent: no
    limit."""

    inspect_rate_limit: Annotated[Quota, BeforeValidator(_rates)] = Quota()
    """InspectToken calls and `validate_only` requests in a time; a batch counts its entries.
    Absent: no limit."""

    max_in_flight: Annotated[int, Field(strict=True, ge=1, le=100_000)] | None = None
    """Its calls under way at once; one more is refused. 1 to 100000; absent: no own limit."""

    grants: Annotated[tuple[GrantSettings, ...], NotEmpty]
    """What it may have. The first that covers a request decides; they are never combined."""

    @model_validator(mode="after")
    def _check(self) -> "CallerSettings":
        names = [grant.name for grant in self.grants]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two grants are called {repeated[0]}: give each its own name")
        if self.default_project and self.default_project not in {
            grant.project for grant in self.grants
        }:
            raise ValueError(f"default_project {self.default_project} is none of its grants'")
        return self

    def caller(self) -> Caller:
        """Returns the caller, ready to decide."""
        return Caller(
            name=self.name,
            grants=tuple(grant.grant() for grant in self.grants),
            quota=Quota(self.rate_limit.rates, self.max_in_flight, self.inspect_rate_limit.rates),
            default_project=self.default_project,
        )


def check_callers(callers: tuple[CallerSettings, ...]) -> Iterator[str]:
    """Yields what is wrong with callers beside each other."""
    names = [caller.name for caller in callers]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"callers: two are called {name}: give each its own name"
    owners: dict[str, str] = {}
    for caller in callers:
        for identity in caller.identities:
            owner = owners.setdefault(identity, caller.name)
            if owner != caller.name:
                yield f"callers: {owner} and {caller.name} have the same identity {identity}"


def _dimensions(token: str) -> tuple[Dimension, ...]:
    return TOKEN_KINDS[token].dimensions


def _ms(life: timedelta) -> int:
    return life // timedelta(milliseconds=1)
