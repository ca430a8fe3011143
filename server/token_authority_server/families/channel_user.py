"""Reads the channel and the user of a request."""

from collections.abc import Iterator
from typing import Final, Literal, Protocol

from token_authority_server.errors import FieldViolation
from token_authority_server.families.service_access import ServiceAccess
from token_authority_server.formats.packing import uid_text

_MAX_UID: Final = 2**32 - 1
# How 006 and 007 write "every channel".
_ANY_CHANNEL: Final = "*"


class HasChannelAndUser(Protocol):
    """A message with the oneofs `channel` and `user`."""

    @property
    def channel_name(self) -> str:
        """A channel; "" with another member of the oneof."""
        ...

    @property
    def uid(self) -> int:
        """An integer uid; 0 with `user_account` or `any_user`."""
        ...

    @property
    def user_account(self) -> str:
        """A string account; "" with `uid` or `any_user`."""
        ...

    def HasField(  # noqa: N802  # protobuf's name
        self, field_name: Literal["any_channel", "any_user"], /
    ) -> bool:
        """Whether a member of a oneof is set."""
        ...


def channel_pattern(message: HasChannelAndUser) -> str:
    """Returns the pattern of channels; "" for another member, and for services without patterns."""
    pattern: str = getattr(message, "channel_pattern", "")
    return pattern


def channel_text(message: HasChannelAndUser) -> str:
    """Returns the channel as tokens write it."""
    return message.channel_name or channel_pattern(message) or _ANY_CHANNEL


def user_text(message: HasChannelAndUser) -> str:
    """Returns the user as tokens write it: without uid and account it is any_user, Agora's 0."""
    return message.user_account or uid_text(message.uid)


def channel_access(token_type: str, role: str, message: HasChannelAndUser) -> ServiceAccess:
    """Returns the access to a channel.

    The contract requires both oneofs: without uid and account it is any_user, without a channel
    name and a pattern any_channel.
    """
    user: str | None = None
    if message.uid:
        user = f"uid:{message.uid}"
    elif message.user_account:
        user = user_name(message.user_account)
    channel = message.channel_name or None
    pattern = channel_pattern(message) or None
    any_channel = channel is None and pattern is None
    return ServiceAccess(token_type, role, channel, user, None, any_channel, user is None, pattern)


def user_name(account: str) -> str:
    """Returns the name of a user account, as grants write it."""
    return f"uid:{account}" if _is_uid(account) else f"account:{account}"


def _is_uid(account: str) -> bool:
    """Whether an account reads like a uid: the token is then the same, so the grant must be."""
    return account.isdecimal() and account[0] != "0" and int(account[:11]) <= _MAX_UID


def login_access(token_type: str, user: str) -> ServiceAccess:
    """Returns the access that a user's login gives."""
    return ServiceAccess(token_type, user=f"account:{user}")


def wildcard_violations(message: HasChannelAndUser, prefix: str = "") -> Iterator[FieldViolation]:
    """Yields a violation for forbidden wildcards; `prefix` is the path of the message."""
    if not message.HasField("any_user"):
        return
    for wildcard, is_set in (
        ("any_channel", message.HasField("any_channel")),
        ("channel_pattern", bool(channel_pattern(message))),
    ):
        if is_set:
            yield FieldViolation(
                f"{prefix}any_user",
                f"ANY_USER_WITH_{wildcard.upper()}",
                f"must not be set together with {wildcard}: name the user or the channel",
            )
