"""The services that a token gives access to, as grants see them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from token_authority_server.errors import FieldViolation
from token_authority_server.families.terms import Terms

Dimension = Literal["roles", "channels", "users", "rooms"]
"""A list of patterns in a grant."""


@dataclass(frozen=True, slots=True)
class TokenType:
    """A type of token as grants name it: `rtc`, `whiteboard.room`."""

    name: str
    dimensions: tuple[Dimension, ...] = ()
    """The lists of patterns that a grant for it must have."""
    explicit: bool = False
    """Whether grants must name it in full: the prefix (`whiteboard`) does not include it."""
    roles: tuple[str, ...] = ()
    """Its roles, as grants name them; empty if it has none, or any (education's numbers)."""


class ServiceAccess(NamedTuple):
    """One service that a token would give access to.

    A grant must allow each of a token's services as if it were the only one.
    """

    token_type: str
    """The name of its TokenType."""
    role: str | None = None
    channel: str | None = None
    """A channel; None if the type has none, or with `any_channel` or a pattern."""
    user: str | None = None
    """`uid:7` or `account:alice`; None if the type has none, or with `any_user`."""
    room: str | None = None
    any_channel: bool = False
    any_user: bool = False
    channel_pattern: str | None = None
    """Instead of a channel: a pattern that matches the channels."""
    alias: str | None = None
    """Another name under which the service knows the same user; grants do not see it."""

    @property
    def has_channel(self) -> bool:
        """Whether it is for a channel, a pattern of channels or any channel."""
        return bool(self.channel or self.channel_pattern or self.any_channel)


class AccessRequest(NamedTuple):
    """What a request asks for: the services, and for how long."""

    accesses: Sequence[ServiceAccess]
    """At least one; known even if the request is invalid."""
    terms: Terms
    """Meaningless if there are violations."""
    violations: Sequence[FieldViolation] = ()
    """The rules that the request breaks over several fields or the clock."""
