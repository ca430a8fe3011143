"""`[[callers.grants]]`: what a caller may have."""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Annotated, Final, Literal, get_args

from pydantic import AfterValidator, Field, model_validator

from token_authority_server.access.grants import Allowance, Grant
from token_authority_server.access.patterns import Patterns
from token_authority_server.config.patterns import impossible, suspicious
from token_authority_server.config.section import NAME, Section
from token_authority_server.config.values import DurationText, suggestion, up_to
from token_authority_server.families import FAMILIES, Dimension, TokenType, TtlUnit

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
_DAY: Final = timedelta(days=1)


def _token(value: str) -> str:
    if value not in TOKEN_KINDS and not _FAMILIES.get(value):
        known = sorted({*TOKEN_KINDS, *(name for name, members in _FAMILIES.items() if members)})
        cure = suggestion(value, known)
        raise ValueError(f"is not a kind of token{cure} (known: {', '.join(known)})")
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
    """Channels, e.g. `lesson-*`. Never any_channel. With `channel_pattern` allowed, also patterns
    that match no others."""

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
    """What has to be said in words: `any_user`, `any_channel`, `channel_pattern`, `non_expiring`,
    `v006`; `inspect` (explain tokens, by the project's keys) and `list_keys`."""

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
                    f"must list {dimension}, which {needed[dimension]} tokens have: "
                    'write ["*"] for all'
                )
            if patterns and dimension not in needed:
                raise ValueError(f"lists {dimension}, which none of its tokens has: remove them")
        self._check_roles()
        self._check_patterns()
        return self

    def _check_patterns(self) -> None:
        for dimension in ("channels", "users", "rooms"):
            for pattern in getattr(self, dimension):
                if problem := impossible(dimension, pattern, self.kinds()):
                    raise ValueError(f"{dimension}: {problem}")

    def warnings(self) -> Iterator[str]:
        """Yields patterns that probably do not match what was meant."""
        for dimension in ("channels", "users", "rooms"):
            for pattern in getattr(self, dimension):
                if problem := suspicious(dimension, pattern):
                    yield problem

    def _check_roles(self) -> None:
        """Refuses a misspelt role, which would grant nothing."""
        kinds = [TOKEN_KINDS[name] for name in self.kinds()]
        if any("roles" in kind.dimensions and not kind.roles for kind in kinds):
            return
        known = sorted({role for kind in kinds for role in kind.roles})
        for pattern in self.roles:
            if not any(map(Patterns([pattern]).match, known)):
                raise ValueError(
                    f"none of its tokens has the role {pattern!r}{suggestion(pattern, known)} "
                    f"(known: {', '.join(known)})"
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
            token_types=self.kinds(),
            roles=Patterns(self.roles),
            channels=Patterns(self.channels),
            users=Patterns(self.users),
            rooms=Patterns(self.rooms),
            max_ttl_ms=_ms(self.max_ttl),
            default_ttl_ms=None if self.default_ttl is None else _ms(self.default_ttl),
            clamps_ttl=self.above_max_ttl == "clamp",
            allow=frozenset(self.allow),
        )


def _dimensions(token: str) -> tuple[Dimension, ...]:
    return TOKEN_KINDS[token].dimensions


def _ms(life: timedelta) -> int:
    return life // timedelta(milliseconds=1)
