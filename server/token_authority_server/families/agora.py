"""What the kinds that App Certificates sign for have in common: 007, channels and users."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal, Protocol

from google.protobuf.duration_pb2 import Duration

from token_authority.v1 import issued_token_pb2
from token_authority_server.errors import FieldViolation, invalid_request
from token_authority_server.families.base import (
    DAY_MS,
    DEFAULT_TTL_MS,
    SECOND_MS,
    SECONDS,
    Advisory,
    HasExpiration,
    Moment,
    ServiceAccess,
    Terms,
    duration_ms,
    outliving,
    requested_ttl_ms,
)
from token_authority_server.formats import access_token_007 as v007
from token_authority_server.formats.packing import uid_text
from token_authority_server.keyring import AppCertificate

V006_ADVISORY: Final = Advisory(
    "LEGACY_FORMAT_006",
    "006 is the older format: current SDKs read 007, which also knows wildcard channels and "
    "several services in one token.",
)
APP_ADVISORY: Final = Advisory(
    "APP_TOKEN_SERVER_SIDE_ONLY",
    "An app token calls the REST API with all rights: keep it on servers, out of clients, "
    "databases and configuration files, and hand clients user tokens.",
)
_MAX_UID: Final = 2**32 - 1
# How both formats write "every channel".
_ANY_CHANNEL: Final = "*"
_NONE: Final[Mapping[str, int]] = {}
_NO_LOGINS: Final[frozenset[str]] = frozenset()


def terms_to_the_second(
    request: HasExpiration,
    expiration: str | None,
    now_ms: int,
    violations: list[FieldViolation],
    *,
    own: Mapping[str, int] = _NONE,
    logins: frozenset[str] = _NO_LOGINS,
    asked_ms: int | None = None,
    default_ms: int = DEFAULT_TTL_MS,
    token_format: issued_token_pb2.TokenFormat.ValueType = issued_token_pb2.TOKEN_FORMAT_V007,
    advisories: tuple[Advisory, ...] = (),
) -> Terms:
    """Returns the terms of a 006 or 007 token.

    Args:
        request: See requested_ttl_ms.
        expiration: See requested_ttl_ms.
        now_ms: Milliseconds since 1970.
        violations: What was found to be wrong so far.
        own: The lifetimes of their own that rights were given, by field path.
        logins: The paths of rights without which the token is of no use to its holder.
        asked_ms: What an unset expiration means by the rest of the request; None: nothing.
        default_ms: What it means then, where the grant does not say.
        token_format: Unspecified means 007.
        advisories: What will surprise.

    Raises:
        Refusal: INVALID_REQUEST, with `violations` and what is wrong with the expiration.
    """
    is_default = expiration is None and asked_ms is None
    ttl_ms = requested_ttl_ms(
        request, expiration, now_ms, SECONDS, DAY_MS, violations, asked_ms or default_ms
    )
    assert ttl_ms is not None
    end_is_known = not is_default and not any(
        violation.field in ("ttl", "expire_time") for violation in violations
    )
    if own and end_is_known:
        violations += outliving(own, ttl_ms)
    if violations:
        raise invalid_request(violations)
    return Terms(
        format=token_format or issued_token_pb2.TOKEN_FORMAT_V007,
        issue_ms=now_ms // SECOND_MS * SECOND_MS,
        ttl_ms=ttl_ms,
        advisories=advisories,
        ttl_is_default=is_default,
        own_ms=own,
        logins=logins,
    )


def ttl_seconds(terms: Terms) -> int:
    """Returns the life of a token that has an end, in the unit of 006 and 007."""
    assert terms.ttl_ms is not None
    return terms.ttl_ms // SECOND_MS


def build_007(
    key: AppCertificate, terms: Terms, moment: Moment, services: Iterable[v007.Service]
) -> str:
    """Builds a 007 token on these terms."""
    return v007.build_access_token_007(
        app_id=key.app_id,
        app_certificate=key.certificate.reveal(),
        issued_at=terms.issue_ms // SECOND_MS,
        expire_seconds=ttl_seconds(terms),
        salt=moment.salt,
        services=services,
    )


class HasChannelAndUser(Protocol):
    """A message with the oneofs `channel` and `user`."""

    @property
    def channel_name(self) -> str:
        """A channel; "" where it is any."""
        ...

    @property
    def uid(self) -> int:
        """An integer uid; 0 where it is an account or anyone."""
        ...

    @property
    def user_account(self) -> str:
        """A string account; "" where it is a uid or anyone."""
        ...

    def HasField(  # noqa: N802  # protobuf's name
        self, field_name: Literal["any_channel", "any_user"], /
    ) -> bool:
        """Whether a member of a oneof is set."""
        ...


def channel_text(message: HasChannelAndUser) -> str:
    """Returns how tokens write the channel."""
    return message.channel_name or _ANY_CHANNEL


def user_text(message: HasChannelAndUser) -> str:
    """Returns how tokens write the user. Neither uid nor account is any_user: Agora's 0."""
    return message.user_account or uid_text(message.uid)


def channel_access(kind: str, role: str, message: HasChannelAndUser) -> ServiceAccess:
    """Returns the part that a message with a channel and a user makes.

    By the contract's rules neither uid nor account is any_user, and no channel is any_channel.
    """
    channel = message.channel_name or None
    if uid := message.uid:
        user = f"uid:{uid}"
    elif text := message.user_account:
        user = f"uid:{text}" if _is_uid(text) else f"account:{text}"
    else:
        user = None
    return ServiceAccess(kind, role, channel, user, None, channel is None, user is None)


def _is_uid(account: str) -> bool:
    """Whether an account is written like a uid: the token is then the same, and so the grant."""
    return account.isdecimal() and account[0] != "0" and int(account[:11]) <= _MAX_UID


def account(kind: str, user: str) -> ServiceAccess:
    """Returns the part that a login of a user makes."""
    return ServiceAccess(kind, user=f"account:{user}")


def wildcard_violations(message: HasChannelAndUser, prefix: str = "") -> Iterator[FieldViolation]:
    """Yields what is wrong with wildcards; `prefix` is the path of the message."""
    if message.HasField("any_channel") and message.HasField("any_user"):
        yield FieldViolation(
            f"{prefix}any_user",
            "ANY_USER_WITH_ANY_CHANNEL",
            "must not be set together with any_channel: name the user or the channel",
        )


def privilege_ttls_ms(
    message: Any, fields: Iterable[str], prefix: str, violations: list[FieldViolation]
) -> dict[str, int]:
    """Returns the lifetimes of their own that rights were given, by field path."""
    found: dict[str, int] = {}
    for field in fields:
        if message.HasField(field):
            path = prefix + field
            found[path] = duration_ms(getattr(message, field), path, SECONDS, violations)
    return found


def seconds_of(message: Any, fields: Mapping[str, int], life: int) -> dict[int, int]:
    """Returns privilege -> seconds from issue, of the fields with lifetimes that are set.

    None is longer than `life`, the token's: that matters only where a grant has cut that down.
    """
    return {
        right: min(getattr(message, field).seconds, life)
        for field, right in fields.items()
        if message.HasField(field)
    }


def login_seconds(ttl: Duration, life: int) -> int:
    """Returns the seconds of a login: its own, else the token's, and never more than those."""
    return min(ttl.seconds or life, life)
