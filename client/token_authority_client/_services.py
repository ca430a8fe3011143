"""The parts of which `issue_access_token` composes a token: one class for each service of Agora.

Lifetimes are whole seconds, 1 s to 24 h, and at most the token's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from token_authority_client._values import RtmPermission


@dataclass(frozen=True, slots=True, kw_only=True)
class _InChannel:
    """A channel and a user: one of each group has to be set, and not `any_…` in both."""

    channel: str | None = None
    """The channel's name, exactly as the client joins it: 1 to 64 bytes."""
    any_channel: bool = False
    """Or every channel."""
    uid: int | None = None
    """The integer uid of the user, 1 to 4294967295."""
    user_account: str | None = None
    """Or the string account, 1 to 255 bytes."""
    any_user: bool = False
    """Or whoever holds the token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RtcService(_InChannel):
    """RTC: a channel, a user, and the lifetime of at least one right. None: not granted."""

    join_channel: timedelta | None = None
    publish_audio: timedelta | None = None
    publish_video: timedelta | None = None
    publish_data: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RtmService:
    """RTM (Signaling): a login."""

    user_id: str
    """1 to 64 printable ASCII characters except `*`, not starting with a space."""
    login: timedelta | None = None
    """How long logging in works. None: as long as the token lives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamingService(_InChannel):
    """Streaming: a channel, a user, and the lifetime of at least one right. None: not granted."""

    publish_mixed: timedelta | None = None
    publish_raw: timedelta | None = None


@dataclass(frozen=True, slots=True)
class FpaService:
    """FPA: a login without a lifetime of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatService:
    """Chat: one of a user and the app."""

    user_id: str | None = None
    """The Chat user ID: 1 to 64 of a-z, 0-9, "_", "-" and "."."""
    app: bool = False
    """Or the app, with all rights: for servers only."""
    ttl: timedelta | None = None
    """How long it works. None: as long as the token lives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FcdnService(_InChannel):
    """FCDN: a channel, a user, and the lifetime of at least one right. None: not granted."""

    publish: timedelta | None = None
    play: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EducationService:
    """Flexible Classroom: a user in a room, a user alone, or the app.

    The RTM and Chat logins that an education token brings along are parts of their own here.
    """

    user_uuid: str | None = None
    """1 to 64 printable ASCII characters except `*`, not starting with a space."""
    room_uuid: str | None = None
    """The room, likewise; with a user and a role."""
    role: int | None = None
    """The user's role in the room, 0 to 32767, of Agora's open set."""
    app: bool = False
    """Or the app, with all rights: for servers only."""
    ttl: timedelta | None = None
    """How long it works. None: as long as the token lives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rtm2Service:
    """RTM (Signaling) with resource permissions: a login that reaches what they name."""

    user_id: str
    """1 to 64 printable ASCII characters except `*`, not starting with a space."""
    permissions: Sequence[RtmPermission] = ()
    """What the user may reach: at most one for each pair of access and resource type."""
    login: timedelta | None = None
    """How long logging in works. None: as long as the token lives."""


@dataclass(frozen=True, slots=True)
class ConvoAiService:
    """Conversational AI. Agora gives it no rights."""


@dataclass(frozen=True, slots=True)
class SttService:
    """Speech to text. Agora gives it no rights."""


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
"""Any of them."""
