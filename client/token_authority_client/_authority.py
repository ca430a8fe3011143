"""AuthorityService: who the caller is, its grants and limits, and the signing keys."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Generic, Literal, TypeVar

from token_authority.v1 import authority_pb2
from token_authority_client._concrete_methods import ConcreteMethods
from token_authority_client._message_builder import build
from token_authority_client._responses import KEY_STATES, READING, moment, utc
from token_authority_client._values import KeyState

KeyDeletion = Literal["safe", "wait", "never_safe", "unknown"]
_DELETIONS: Final[Mapping[int, KeyDeletion]] = {
    authority_pb2.KEY_DELETION_SAFE: "safe",
    authority_pb2.KEY_DELETION_WAIT: "wait",
    authority_pb2.KEY_DELETION_NEVER_SAFE: "never_safe",
}
# A bound for servers that never stop returning pages.
_MAX_PAGES: Final = 10_000

InfoT_co = TypeVar("InfoT_co", covariant=True)
KeysT_co = TypeVar("KeysT_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Grant:
    """One of the caller's grants. A request is allowed if a single grant covers all of it."""

    name: str
    """The grant's name, unique among the caller's grants."""
    project: str
    """The project that it applies to."""
    tokens: tuple[str, ...]
    """Patterns of token types, e.g. `rtc`, `whiteboard.*`. In all patterns `*` matches any
    characters."""
    roles: tuple[str, ...]
    """Patterns of roles, e.g. `publisher`."""
    channels: tuple[str, ...]
    """Patterns of channel names."""
    users: tuple[str, ...]
    """Patterns of users, e.g. `uid:7`, `account:al*`."""
    rooms: tuple[str, ...]
    """Patterns of whiteboard and classroom rooms."""
    default_ttl: timedelta | None
    """The lifetime of tokens whose request has none; None: an hour, or `max_ttl` if shorter."""
    max_ttl: timedelta
    """The longest lifetime."""
    clamp_ttl: bool
    """Whether a longer lifetime is reduced to `max_ttl` instead of refused."""
    allow: tuple[str, ...]
    """What must be allowed explicitly, e.g. `any_user`, `list_keys`."""


@dataclass(frozen=True, slots=True)
class CallerLimits:
    """The caller's limits."""

    rates: tuple[str, ...]
    """Tokens per time window, e.g. `200 per 1 second`; empty: no rate limit."""
    max_in_flight: int
    """The most concurrent calls of the caller; 0: no limit per caller."""
    max_batch_size: int
    """The most tokens in one call."""
    max_request_bytes: int
    """The largest request, in bytes."""


@dataclass(frozen=True, slots=True)
class AuthorityInfo:
    """The caller as the server authenticated it, its grants and its limits."""

    caller: str
    """The caller's name in the server's configuration."""
    identity: str
    """The identity that authenticated it, e.g. `spiffe://…`, `jwt:sub=…`, `api-key:sha256:…`,
    `local`."""
    grants: tuple[Grant, ...]
    """The caller's grants, in the order in which they are tried."""
    default_project: str
    """The project of requests that name none; "": every request must name one."""
    limits: CallerLimits
    """The caller's limits."""
    server_version: str
    """The server's version, e.g. `0.1.0`."""
    server_time: datetime
    """The server's clock, which determines when tokens expire; UTC."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A signing key of the server, without its secret."""

    project: str
    """The project that the key signs for."""
    key_id: str
    """The key's name in the server's configuration."""
    product: str
    """The tokens it signs: `agora` (006 and 007) or `whiteboard`."""
    app_id: str
    """The Agora App ID; "" for whiteboard keys."""
    state: KeyState
    """Whether the key signs ("active"), only verifies, or is disabled."""
    retire_time: datetime | None
    """When it stopped signing; None if the configuration has no time."""
    deletion: KeyDeletion
    """Whether it can be deleted, judging by the current grants and the tokens that one instance
    signed: "wait" until `safe_to_delete_time` or longer; "never_safe" if that would invalidate
    tokens that never expire; "unknown" otherwise. No server answers "safe": only the audit trails
    of all instances show that (`token-authority keys --audit`)."""
    safe_to_delete_time: datetime | None
    """When the last token that it can have signed expires under the current grants; earlier ones
    may have allowed longer lifetimes. None if unknown or never."""
    warnings: tuple[str, ...] = ()
    """Why `deletion` and `safe_to_delete_time` may be wrong: sentences for operators."""


class AuthorityMethods(ConcreteMethods, ABC, Generic[InfoT_co, KeysT_co]):
    """The methods of AuthorityService."""

    @abstractmethod
    def _info(self) -> InfoT_co:
        """Fetches what `get_authority_info` returns."""

    @abstractmethod
    def _keys(self, project: str) -> KeysT_co:
        """Fetches what `list_signing_keys` returns."""

    def get_authority_info(self) -> InfoT_co:
        """Returns the caller as the server authenticated it, its grants and its limits.

        Raises:
            TokenAuthorityError: The call failed; see its subclasses.
        """
        return self._info()

    def list_signing_keys(self, *, project: str = "") -> KeysT_co:
        """Lists signing keys: their states, and how long each is needed. Never the secrets.

        The answers are computed from the current grants: before you delete a key, run
        `token-authority keys --audit` over the audit trails of all instances. The caller needs a
        grant that allows `list_keys`.

        Args:
            project: The project's name on the server; "": all projects whose keys the caller may
                list, regardless of the client's `project`.

        Returns:
            The keys, by project and then in the configuration's order.

        Raises:
            TokenAuthorityError: The call failed; see its subclasses.
        """
        return self._keys(project)


CallMethod = Callable[[str, Any], Coroutine[Any, Any, Any]]
"""Calls a method of the contract with a request, and returns its response."""


async def fetch_info(call: CallMethod) -> AuthorityInfo:
    """Fetches the caller's AuthorityInfo.

    Raises:
        TokenAuthorityError: The call failed.
    """
    return _info(await call("GetAuthorityInfo", authority_pb2.GetAuthorityInfoRequest()))


async def fetch_keys(call: CallMethod, project: str) -> list[SigningKey]:
    """Fetches all keys, page by page.

    Raises:
        TokenAuthorityError: A call failed.
    """
    keys, page = list[SigningKey](), ""
    for _ in range(_MAX_PAGES):
        request = build(authority_pb2.ListSigningKeysRequest, "", project=project, page_token=page)
        answer = await call("ListSigningKeys", request)
        with READING:
            keys += [_key(message) for message in answer.signing_keys]
            page = answer.next_page_token
        if not page:
            break
    return keys


def _info(response: Any) -> AuthorityInfo:
    with READING:
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
        warnings=tuple(message.warnings),
    )
