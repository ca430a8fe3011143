"""The values of requests and responses: frozen dataclasses without protobuf."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

# "unknown": a value that a newer server sent.
TokenFormat = Literal["006", "007", "netless", "unknown"]
SignatureVerdict = Literal["valid", "invalid", "unknown_key", "unverifiable", "unknown"]
KeyState = Literal["active", "verify_only", "disabled", "unknown"]
FindingSeverity = Literal["error", "warning", "unknown"]
Product = Literal["rtc", "rtm", "chat", "education", "whiteboard"]
RtmAccess = Literal["read", "write"]
RtmResourceType = Literal[
    "message_channel", "stream_channel", "group_channel", "server_group", "user"
]


@dataclass(frozen=True, slots=True)
class Advisory:
    """A non-fatal warning about an issued token."""

    reason: str
    """The machine-readable reason, stable, e.g. `SUBSCRIBER_NOT_ENFORCED`."""
    description: str
    """What to expect and what to do."""


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """An issued token. Its repr does not contain the token itself."""

    token: str = field(repr=False)
    """The token, a credential: send it only to the client it was issued for, and never log it."""
    token_id: str
    """The token's fingerprint, safe to log; the server's log and audit trail contain it too."""
    format: TokenFormat
    """The token's format."""
    key_id: str
    """The name of the signing key."""
    app_id: str
    """The Agora App ID; "" for whiteboard tokens, which have none."""
    issue_time: datetime
    """When the token was issued, by the server's clock; UTC."""
    expire_time: datetime | None
    """When joining or logging in with the token stops working; UTC. None: never."""
    renew_time: datetime | None
    """When to fetch the next token; UTC. None if the token never expires."""
    advisories: tuple[Advisory, ...]
    """Non-fatal warnings."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Why a request is allowed, and what would be issued."""

    caller: str
    """The caller's name in the server's configuration."""
    grant: str
    """The name of the grant that allows the request."""
    ttl: timedelta | None
    """The token's lifetime; None if it would never expire."""
    max_ttl: timedelta
    """The longest lifetime that the grant allows."""
    key_id: str
    """The name of the key that would sign."""
    advisories: tuple[Advisory, ...]
    """The warnings that the token would have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RtcPrivileges:
    """One lifetime per privilege: whole seconds, 1 s to 24 h. None: not granted."""

    join_channel: timedelta
    """How long the user can join the channel."""
    publish_audio: timedelta | None = None
    """How long the user can publish audio."""
    publish_video: timedelta | None = None
    """How long the user can publish video."""
    publish_data: timedelta | None = None
    """How long the user can publish data streams."""


@dataclass(frozen=True, slots=True)
class RtmLogin:
    """An RTM (Signaling) login in an RTC token."""

    user_id: str
    """1 to 64 printable ASCII characters except `*`, not starting with a space."""
    ttl: timedelta | None = None
    """The login's lifetime: whole seconds, 1 s to 24 h, at most the token's. None: the token's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RtmPermission:
    """Access of an RTM user to resources of one type."""

    access: RtmAccess
    """Whether the user can read or write."""
    resource_type: RtmResourceType
    """The type of the resources."""
    resources: Sequence[str]
    """The resources' names, exactly as the client uses them: at most 100, each 1 to 255 bytes."""


@dataclass(frozen=True, slots=True)
class DecodedField:
    """One value in a token."""

    path: str
    """The value's path, e.g. `services[0].channel_name`."""
    value: str
    """The value as encoded; numbers in decimal."""
    meaning: str
    """An explanation; "" if none is needed."""


@dataclass(frozen=True, slots=True)
class Signature:
    """The result of verifying a token's signature."""

    verdict: SignatureVerdict
    """Whether a key of the server made the signature; "unknown_key" if the server has no key for
    the token's App ID or access key, "unverifiable" if it cannot be checked."""
    project: str
    """The project of the key; "" unless the signature is valid."""
    key_id: str
    """The id of the key; "" unless the signature is valid."""
    key_state: KeyState | None
    """The state of the key; None unless the signature is valid."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem of an inspected token."""

    reason: str
    """The machine-readable reason, stable, in UPPER_SNAKE_CASE."""
    severity: FindingSeverity
    """Error: Agora refuses the token. Warning: the token may work, with unexpected results."""
    problem: str
    """What is wrong."""
    advice: str
    """What to do."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """The content, signature and problems of a token, without the token itself."""

    format: TokenFormat | None
    """The token's format; None if the text is not a token."""
    kind: str
    """The token type, e.g. `rtc` or `whiteboard.room`; "" if the text is not a token."""
    token_id: str
    """The token's fingerprint, as in IssuedToken."""
    fields: tuple[DecodedField, ...]
    """The values in the token, in their order."""
    omitted_field_count: int
    """The number of values beyond the 1000 that `fields` contains at most."""
    issue_time: datetime | None
    """When the token was issued; UTC. None if it does not contain that."""
    expire_time: datetime | None
    """When joining or logging in with the token stops working; UTC. None: never, or unknown."""
    expired: bool
    """Whether the token had expired when it was used."""
    time_summary: str
    """The times as a sentence."""
    signature: Signature
    """The result of verifying the signature."""
    findings: tuple[Finding, ...]
    """The problems found, errors first. Begin with the first one."""
    others: tuple["Inspection", ...] = ()
    """The other tokens in the text, up to 9."""

    @property
    def usable(self) -> bool:
        """Whether no problem was found for which Agora would refuse the token."""
        return not any(finding.severity == "error" for finding in self.findings)
