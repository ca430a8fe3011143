"""Services for `issue_access_token`: one class per Agora service.

Lifetimes are whole seconds, 1 s to 24 h, and at most the token's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from token_authority_client._values import RtmPermission


@dataclass(frozen=True, slots=True, kw_only=True)
class _InChannel:
    """A channel and a user: one argument of each is required, and wildcards not for both."""

    channel: str | None = None
    """The channel's name, exactly as the client joins it: 1 to 64 bytes."""
    any_channel: bool = False
    """Or a wildcard for all channels."""
    uid: int | None = None
    """The user's integer uid, 1 to 4294967295."""
    user_account: str | None = None
    """Or the user's string account, 1 to 255 bytes."""
    any_user: bool = False
    """Or a wildcard for all users."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RtcService(_InChannel):
    """RTC: a channel, a user, and the lifetime of at least one privilege. None: not granted."""

    channel_pattern: str | None = None
    """Instead of a channel: a pattern, e.g. "lesson-*"; see `issue_rtc_token`."""
    join_channel: timedelta | None = None
    """How long the user can join the channel."""
    publish_audio: timedelta | None = None
    """How long the user can publish audio."""
    publish_video: timedelta | None = None
    """How long the user can publish video."""
    publish_data: timedelta | None = None
    """How long the user can publish data streams."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RtmService:
    """RTM (Signaling): a login."""

    user_id: str
    """1 to 64 printable ASCII characters except `*`, not starting with a space."""
    login: timedelta | None = None
    """How long the user can log in. None: the token's lifetime."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamingService(_InChannel):
    """Streaming: a channel, a user, and the lifetime of at least one privilege."""

    publish_mixed: timedelta | None = None
    """How long the user can publish a mixed stream. None: not granted."""
    publish_raw: timedelta | None = None
    """How long the user can publish a raw stream. None: not granted."""


@dataclass(frozen=True, slots=True)
class FpaService:
    """FPA: a login with the token's lifetime."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatService:
    """Chat: a user or the app."""

    user_id: str | None = None
    """The Chat user ID: 1 to 64 of a-z, 0-9, "_", "-" and "."."""
    app: bool = False
    """Or the app, with full access: for servers only."""
    ttl: timedelta | None = None
    """The service's lifetime. None: the token's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FcdnService(_InChannel):
    """FCDN: a channel, a user, and the lifetime of at least one privilege."""

    publish: timedelta | None = None
    """How long the user can publish. None: not granted."""
    play: timedelta | None = None
    """How long the user can play. None: not granted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EducationService:
    """Flexible Classroom: a user in a room, a user outside rooms, or the app.

    The RTM and Chat logins that `issue_education_token` includes are separate services here.
    """

    user_uuid: str | None = None
    """1 to 64 printable ASCII characters except `*`, not starting with a space."""
    room_uuid: str | None = None
    """The room, with a user and a role: 1 to 64 printable ASCII characters, no leading space."""
    role: int | None = None
    """The user's role in the room, 0 to 32767; Agora defines the values."""
    app: bool = False
    """Or the app, with full access: for servers only."""
    ttl: timedelta | None = None
    """The service's lifetime. None: the token's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rtm2Service:
    """RTM (Signaling): a login with resource permissions."""

    user_id: str
    """1 to 64 printable ASCII characters except `*`, not starting with a space."""
    permissions: Sequence[RtmPermission] = ()
    """The resources that the user may access: at most one per pair of access and resource type."""
    login: timedelta | None = None
    """How long the user can log in. None: the token's lifetime."""


@dataclass(frozen=True, slots=True)
class ConvoAiService:
    """Conversational AI, which has no privileges."""


@dataclass(frozen=True, slots=True)
class SttService:
    """Speech to text, which has no privileges."""


AccessTokenService = (
    RtcService
    | RtmService
    | StreamingService
    | FpaService
    | ChatService
    | FcdnService
    | EducationService
    | Rtm2Service
    | ConvoAiService
    | SttService
)
"""A service of a token."""
