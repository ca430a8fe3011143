"""`[[callers.grants]]`: the tokens that a caller may request."""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Annotated, Final, Literal, get_args

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from token_authority_server.access.channel_keys import CHANNEL_KEY
from token_authority_server.access.grants import Allowance, Grant
from token_authority_server.access.patterns import Patterns
from token_authority_server.config.patterns import impossible, suspicious
from token_authority_server.config.section import NAME, Section
from token_authority_server.config.values import DurationText, suggestion, up_to
from token_authority_server.families import FAMILIES, Dimension, TokenType, TtlUnit

TOKEN_TYPES: Final[Mapping[str, TokenType]] = {
    token_type.name: token_type for family in FAMILIES for token_type in family.token_types
}
GRANTABLE: Final[Mapping[str, TokenType]] = {**TOKEN_TYPES, CHANNEL_KEY.name: CHANNEL_KEY}
"""The token types, and keys, which are no tokens."""
_UNITS: Final[Mapping[str, TtlUnit]] = {
    token_type.name: family.unit for family in FAMILIES for token_type in family.token_types
}
_FAMILIES: Final[Mapping[str, frozenset[str]]] = {
    family: frozenset(
        name
        for name, token_type in TOKEN_TYPES.items()
        if name.partition(".")[0] == family and not token_type.explicit
    )
    for family in {name.partition(".")[0] for name in TOKEN_TYPES}
}
_NAMES: Final = sorted({*GRANTABLE, *(name for name, members in _FAMILIES.items() if members)})
_MAX_UID: Final = 2**32 - 1
_DAY: Final = timedelta(days=1)


def _token(value: str) -> str:
    if value not in GRANTABLE and not _FAMILIES.get(value):
        hint = suggestion(value, _NAMES)
        raise ValueError(f"is not a token type{hint} (known: {', '.join(_NAMES)})")
    return value


def _pattern(value: str) -> str:
    if not value or not value.isascii() or not value.isprintable():
        raise ValueError(
            "must be printable ASCII, where '*' matches any characters: Agora allows no other "
            "characters, so the pattern would match nothing"
        )
    return value


def _user_pattern(value: str) -> str:
    if value != "*" and not re.fullmatch(r"uid:[0-9*]+|account:.+", value):
        raise ValueError(
            'must be "uid:7", "uid:*", "account:al*", or "*" for all uids and accounts'
        )
    uid = re.fullmatch(r"uid:([0-9]+)", value)
    if uid and not (re.fullmatch(r"[1-9][0-9]{0,9}", uid[1]) and int(uid[1]) <= _MAX_UID):
        raise ValueError(
            'is not a uid, 1 to 4294967295; for a wildcard token, add "any_user" to allow'
        )
    return _pattern(value)


TokenName = Annotated[str, AfterValidator(_token), WithJsonSchema({"enum": _NAMES})]
Pattern = Annotated[str, AfterValidator(_pattern)]
UserPattern = Annotated[str, AfterValidator(_user_pattern)]
AllowText = Annotated[Allowance, Field()]


class GrantSettings(Section):
    """`[[callers.grants]]`: the tokens of one project that a caller may request.

    A grant must list patterns for every dimension of its tokens: roles, channels, users, rooms. In
    a pattern `*` matches any characters; nothing else is special, and case matters.
    """

    name: Annotated[str, Field(pattern=NAME)]
    """A name of your choice, unique for the caller; errors and decisions contain it."""

    project: str
    """The name of the project."""

    tokens: tuple[TokenName, ...] = ()
    """Token types: `rtc`, `whiteboard.room`, or a family like `whiteboard`, which does not include
    project-wide token types (`whiteboard.sdk`, `chat.app`, `education.app`): list those by name. A
    composed token needs `access_token` and the token types of all its services. `channel_key`
    allows the keys for media encryption."""

    roles: tuple[Pattern, ...] = ()
    """`publisher`, `subscriber` (rtc, fcdn; streaming: publisher), `admin`, `writer`, `reader`
    (whiteboard), or Agora's role numbers (education)."""

    channels: tuple[Pattern, ...] = ()
    """Channel names, e.g. `lesson-*`. No pattern matches any_channel. If `channel_pattern` is
    allowed, they also cover requested patterns that can match no other channel."""

    users: tuple[UserPattern, ...] = ()
    """Users: `uid:7`, `account:al*`. No pattern matches any_user. In a channel the account "7" is
    uid:7: the token is the same."""

    rooms: tuple[Pattern, ...] = ()
    """UUIDs of whiteboard rooms, whiteboard tasks and classrooms."""

    max_ttl: Annotated[DurationText, up_to(timedelta(days=3650), "3650d")] = _DAY
    """The longest lifetime of a token. 1ms to 3650d; 006 and 007 tokens: whole seconds, 24h at
    most."""

    default_ttl: Annotated[DurationText, up_to(timedelta(days=3650), "3650d")] | None = None
    """The lifetime if the request sets none; absent: 1h, or max_ttl if that is shorter."""

    above_max_ttl: Literal["refuse", "clamp"] = "refuse"
    """Whether a longer lifetime is refused, or clamped to max_ttl with an advisory."""

    allow: tuple[AllowText, ...] = ()
    """What must be allowed explicitly: `any_user`, `any_channel`, `channel_pattern`,
    `non_expiring`, `v006`; `inspect` (inspect tokens with the project's keys) and `list_keys`."""

    @model_validator(mode="after")
    def _check(self) -> "GrantSettings":
        if not self.tokens and not {"inspect", "list_keys"} & set(self.allow):
            raise ValueError(
                'grants nothing: list `tokens`, or add "inspect" or "list_keys" to `allow`'
            )
        if not self.max_ttl:
            raise ValueError("max_ttl must be at least 1ms")
        if self.default_ttl is not None and not timedelta(0) < self.default_ttl <= self.max_ttl:
            raise ValueError("default_ttl must be at least 1ms and at most max_ttl")
        for name in sorted(self.token_types()):
            # Rounded down, a lifetime could be 0, which Agora reads as a day or as non-expiring.
            for option in ("max_ttl", "default_ttl"):
                ttl, unit = getattr(self, option), _UNITS.get(name)
                if ttl is not None and unit and _ms(ttl) % unit.ms:
                    raise ValueError(
                        f"{option} must be a multiple of 1 {unit.name} for {name} tokens"
                    )
        needed = {
            dimension: name
            for name in sorted(self.token_types())
            for dimension in _dimensions(name)
        }
        for dimension in get_args(Dimension):
            patterns = getattr(self, dimension)
            if dimension in needed and not patterns:
                raise ValueError(
                    f"must list {dimension}, because {needed[dimension]} tokens have them: "
                    'set ["*"] for all'
                )
            if patterns and dimension not in needed:
                raise ValueError(
                    f"lists {dimension}, which none of its token types has: remove the key"
                )
        self._check_roles()
        self._check_patterns()
        return self

    def _check_patterns(self) -> None:
        if CHANNEL_KEY.name in self.tokens and any(not text.strip("*") for text in self.channels):
            raise ValueError(
                f"{CHANNEL_KEY.name} is granted by channel, not for all of them: list channels, or "
                'patterns like "lesson-*", in a separate grant'
            )
        for dimension in ("channels", "users", "rooms"):
            for pattern in getattr(self, dimension):
                if problem := impossible(dimension, pattern, self.token_types()):
                    raise ValueError(f"{dimension}: {problem}")

    def warnings(self) -> Iterator[str]:
        """Yields warnings about patterns that use the syntax of regular expressions or globs."""
        for dimension in ("channels", "users", "rooms"):
            for pattern in getattr(self, dimension):
                if problem := suspicious(dimension, pattern):
                    yield problem

    def _check_roles(self) -> None:
        """Rejects a role pattern that matches no role of the token types."""
        types = [GRANTABLE[name] for name in self.token_types()]
        if any("roles" in one.dimensions and not one.roles for one in types):
            return
        known = sorted({role for one in types for role in one.roles})
        for pattern in self.roles:
            if not any(map(Patterns([pattern]).match, known)):
                raise ValueError(
                    f"none of its token types has the role {pattern!r}{suggestion(pattern, known)} "
                    f"(known: {', '.join(known)})"
                )

    def token_types(self) -> frozenset[str]:
        """Returns the names of the token types, families expanded."""
        return expand_token_types(self.tokens)

    def grant(self) -> Grant:
        """Returns the grant in the form that authorization uses."""
        return Grant(
            name=self.name,
            project=self.project,
            token_types=self.token_types(),
            roles=Patterns(self.roles),
            channels=Patterns(self.channels),
            users=Patterns(self.users),
            rooms=Patterns(self.rooms),
            max_ttl_ms=_ms(self.max_ttl),
            default_ttl_ms=None if self.default_ttl is None else _ms(self.default_ttl),
            clamps_ttl=self.above_max_ttl == "clamp",
            allow=frozenset(self.allow),
        )


def expand_token_types(tokens: Iterable[str]) -> frozenset[str]:
    """Returns the names of token types, families expanded."""
    named = [
        _FAMILIES[token] if token not in GRANTABLE else frozenset((token,)) for token in tokens
    ]
    return frozenset[str]().union(*named)


def _dimensions(token: str) -> tuple[Dimension, ...]:
    return GRANTABLE[token].dimensions


def _ms(ttl: timedelta) -> int:
    return ttl // timedelta(milliseconds=1)
