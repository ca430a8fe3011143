"""What goes into requests and comes out of answers: small frozen values, no protobuf."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

TokenFormat = Literal["006", "007", "netless", "unknown"]


@dataclass(frozen=True, slots=True)
class Advisory:
    """Something that worked and may still surprise."""

    reason: str
    """Stable, e.g. `SUBSCRIBER_NOT_ENFORCED`."""
    description: str
    """What to expect, and what to do."""


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token, and what there is to know about it. Its repr does not show the token."""

    token: str = field(repr=False)
    """The token: a credential. Hand it to the one client it is for; never log it."""
    token_id: str
    """Its fingerprint, safe to log: the server's log and audit trail have the same."""
    format: TokenFormat
    """How it is encoded; "unknown" if the server is newer than this client."""
    key_id: str
    """The name of the key that signed."""
    app_id: str
    """The Agora App ID; "" for whiteboard tokens, which have none."""
    issue_time: datetime
    """When it was issued, by the server's clock; UTC."""
    expire_time: datetime | None
    """When joining or logging in with it stops to work; None if it never does."""
    renew_time: datetime | None
    """When to fetch the next one; None if it never expires."""
    advisories: tuple[Advisory, ...]
    """What worked but will surprise."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Why a request is allowed, and what would be issued for it."""

    caller: str
    """Whom the server took you for."""
    grant: str
    """The grant that covers the request."""
    ttl: timedelta | None
    """How long the token would live; None for one that never expires."""
    max_ttl: timedelta
    """The longest life that could be asked for."""
    key_id: str
    """The key that would sign."""
    advisories: tuple[Advisory, ...]
    """The advisories the token would come with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RtcPrivileges:
    """One lifetime for each right, in whole seconds, 1 s to 24 h. None: not granted."""

    join_channel: timedelta
    publish_audio: timedelta | None = None
    publish_video: timedelta | None = None
    publish_data: timedelta | None = None


@dataclass(frozen=True, slots=True)
class RtmLogin:
    """An RTM (Signaling) login in the same token as the RTC channel."""

    user_id: str
    """1 to 64 printable ASCII characters, not starting with a space."""
    ttl: timedelta | None = None
    """Whole seconds, 1 s to 24 h, at most the token's life. None: the token's."""
