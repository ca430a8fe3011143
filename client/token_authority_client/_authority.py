"""What a server says of itself: who the caller is to it, and the keys it has."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Generic, Literal, TypeVar

from token_authority.v1 import authority_pb2
from token_authority_client._message_builder import build
from token_authority_client._responses import KEY_STATES, moment, reading, utc
from token_authority_client._values import KeyState

KeyDeletion = Literal["safe", "wait", "never_safe", "unknown"]
_DELETIONS: Final[Mapping[int, KeyDeletion]] = {
    authority_pb2.KEY_DELETION_SAFE: "safe",
    authority_pb2.KEY_DELETION_WAIT: "wait",
    authority_pb2.KEY_DELETION_NEVER_SAFE: "never_safe",
}
# Far more keys than anyone has: a server that goes on for ever is not followed.
_MAX_PAGES: Final = 10_000

InfoT_co = TypeVar("InfoT_co", covariant=True)
KeysT_co = TypeVar("KeysT_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Grant:
    """One of the caller's grants: a request is allowed if one grant covers all of it."""

    name: str
    """Unique among the caller's."""
    project: str
    tokens: tuple[str, ...]
    """The kinds of token, e.g. `rtc`, `whiteboard.room`. In all patterns `*` stands for any
    characters."""
    roles: tuple[str, ...]
    channels: tuple[str, ...]
    users: tuple[str, ...]
    """Like `uid:7`, `account:al*`."""
    rooms: tuple[str, ...]
    default_ttl: timedelta | None
    """How long a token lives where the request does not say; None: an hour, or `max_ttl` if that
    is shorter."""
    max_ttl: timedelta
    clamp_ttl: bool
    """Whether a longer life is cut down to `max_ttl`, instead of being refused."""
    allow: tuple[str, ...]
    """What has to be allowed in words, e.g. `any_user`, `list_keys`."""


@dataclass(frozen=True, slots=True)
class CallerLimits:
    """How much a caller may ask for."""

    rates: tuple[str, ...]
    """Tokens in a time, e.g. `200 per 1 second`; empty: as many as the server can make."""
    max_in_flight: int
    """Calls under way at once; 0: no limit of the caller's own."""
    max_batch_size: int
    """In tokens."""
    max_request_bytes: int


@dataclass(frozen=True, slots=True)
class AuthorityInfo:
    """Who the server takes the caller for, what it may ask for, and how much."""

    caller: str
    """The caller's name in the server's configuration."""
    identity: str
    """What showed it, e.g. `spiffe://…`, `jwt:sub=…`, `api-key:sha256:…`, `local`."""
    grants: tuple[Grant, ...]
    """In the order in which they are tried."""
    default_project: str
    """The project of a request that names none; "": it has to name one."""
    limits: CallerLimits
    server_version: str
    server_time: datetime
    """The server's clock, by which tokens are timed; UTC."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key of the server's, without its secret."""

    project: str
    key_id: str
    product: str
    """What it signs: `agora` (006 and 007) or `whiteboard`."""
    app_id: str
    """The Agora App ID; "" for whiteboard keys."""
    state: KeyState
    retire_time: datetime | None
    """Since when it does not sign; None where the configuration does not say."""
    deletion: KeyDeletion
    """Whether it can be removed: "wait" until `safe_to_delete_time`; "never_safe" where tokens that
    never expire die with it."""
    safe_to_delete_time: datetime | None
    """When the last token that it can have signed ends; None where that is not known."""


class AuthorityMethods(ABC, Generic[InfoT_co, KeysT_co]):
    """What AuthorityService does."""

    @abstractmethod
    def _info(self) -> InfoT_co:
        """Fetches what `get_authority_info` returns."""

    @abstractmethod
    def _keys(self, project: str) -> KeysT_co:
        """Fetches what `list_signing_keys` returns."""

    def get_authority_info(self) -> InfoT_co:
        """Says who the server takes the caller for, what it may ask for, and how much.

        Raises:
            TokenAuthorityError: No answer; see its subclasses.
        """
        return self._info()

    def list_signing_keys(self, *, project: str = "") -> KeysT_co:
        """Lists signing keys: their states, and when each can be removed. Never the secrets.

        Takes the allowance `list_keys`.

        Args:
            project: The project's name on the server; "": every project for which the caller may
                list keys, whatever the client's own is.

        Returns:
            All of them, by project and then in the configuration's order.

        Raises:
            TokenAuthorityError: No answer; see its subclasses.
        """
        return self._keys(project)


CallMethod = Callable[[str, Any], Coroutine[Any, Any, Any]]
"""Calls a method of the contract with a request, and returns its answer."""


async def fetch_info(call: CallMethod) -> AuthorityInfo:
    """Asks for what `AuthorityInfo` has.

    Raises:
        TokenAuthorityError: No answer.
    """
    return _info(await call("GetAuthorityInfo", authority_pb2.GetAuthorityInfoRequest()))


async def fetch_keys(call: CallMethod, project: str) -> list[SigningKey]:
    """Asks for all keys, page by page.

    Raises:
        TokenAuthorityError: No answer.
    """
    keys, page = list[SigningKey](), ""
    for _ in range(_MAX_PAGES):
        request = build(authority_pb2.ListSigningKeysRequest, "", project=project, page_token=page)
        answer = await call("ListSigningKeys", request)
        with reading():
            keys += [_key(message) for message in answer.signing_keys]
            page = answer.next_page_token
        if not page:
            break
    return keys


def _info(response: Any) -> AuthorityInfo:
    with reading():
        message: authority_pb2.GetAuthorityInfoResponse = response
        if not message.caller:
            raise ValueError("no caller")
        limits = message.limits
        return AuthorityInfo(
            caller=message.caller,
            identity=message.identity,
            grants=tuple([_grant(grant) for grant in message.grants]),
            default_project=message.default_project,
            limits=CallerLimits(
                rates=tuple(limits.rates),
                max_in_flight=limits.max_in_flight,
                max_batch_size=limits.max_batch_size,
                max_request_bytes=limits.max_request_bytes,
            ),
            server_version=message.server_version,
            server_time=utc(message.server_time),
        )


def _grant(message: authority_pb2.Grant) -> Grant:
    return Grant(
        name=message.name,
        project=message.project,
        tokens=tuple(message.tokens),
        roles=tuple(message.roles),
        channels=tuple(message.channels),
        users=tuple(message.users),
        rooms=tuple(message.rooms),
        default_ttl=message.default_ttl.ToTimedelta() if message.HasField("default_ttl") else None,
        max_ttl=message.max_ttl.ToTimedelta(),
        clamp_ttl=message.clamp_ttl,
        allow=tuple(message.allow),
    )


def _key(message: authority_pb2.SigningKey) -> SigningKey:
    return SigningKey(
        project=message.project,
        key_id=message.key_id,
        product=message.product,
        app_id=message.app_id,
        state=KEY_STATES.get(message.state, "unknown"),
        retire_time=moment(message, "retire_time"),
        deletion=_DELETIONS.get(message.deletion, "unknown"),
        safe_to_delete_time=moment(message, "safe_to_delete_time"),
    )
