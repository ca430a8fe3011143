"""What goes into requests and comes out of answers: small frozen values, no protobuf."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

# Where an answer may say "unknown", the server is newer than this client.
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
    """How it is encoded."""
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
    """1 to 64 printable ASCII characters except `*`, not starting with a space."""
    ttl: timedelta | None = None
    """Whole seconds, 1 s to 24 h, at most the token's life. None: the token's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RtmPermission:
    """What an RTM user may do with resources of one type."""

    access: RtmAccess
    resource_type: RtmResourceType
    resources: Sequence[str]
    """Their names, exactly as the client uses them: at most 100, each 1 to 255 bytes."""


@dataclass(frozen=True, slots=True)
class DecodedField:
    """One value in a token."""

    path: str
    """Its place, e.g. `services[0].channel_name`."""
    value: str
    """The value as the token has it; numbers in decimal."""
    meaning: str
    """Explains the value where it is not clear by itself; else ""."""


@dataclass(frozen=True, slots=True)
class Signature:
    """The key that signed a token."""

    verdict: SignatureVerdict
    """Whether the signature is valid; "unknown_key" if the server has no key for the token's App ID
    or access key, "unverifiable" if it cannot be checked."""
    project: str
    """The project of the key; "" unless the signature is valid."""
    key_id: str
    """The id of the key; "" unless the signature is valid."""
    key_state: KeyState | None
    """The state of the key; None unless the signature is valid."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A reason for a refusal, or something that will surprise."""

    reason: str
    """Stable, in UPPER_SNAKE_CASE."""
    severity: FindingSeverity
    """Error: enough for a refusal. Warning: it works, or may work, and will surprise."""
    problem: str
    """What is wrong."""
    advice: str
    """What to do."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """The explanation of a token: its content, its signer and the findings; not the token."""

    format: TokenFormat | None
    """How it is encoded; None for a text without a token."""
    kind: str
    """What it is for, e.g. `rtc` or `whiteboard.room`; "" for a text without a token."""
    token_id: str
    """Its fingerprint, as in IssuedToken."""
    fields: tuple[DecodedField, ...]
    """Its values in their order."""
    omitted_field_count: int
    """How many more values it has than `fields`, which has 1000 at most."""
    issue_time: datetime | None
    """When it was issued; UTC. None where it does not tell."""
    expire_time: datetime | None
    """When joining or logging in with it stops. None for never, or where that is not known."""
    expired: bool
    """Whether that was over at the time it was used."""
    time_summary: str
    """The times as a sentence."""
    signature: Signature
    findings: tuple[Finding, ...]
    """Errors first; the first one is the cause to begin with. Empty if there are none."""
    others: tuple["Inspection", ...] = ()
    """The other tokens in the text, up to 9."""

    @property
    def usable(self) -> bool:
        """Whether nothing was found for which Agora would refuse the token."""
        return not any(finding.severity == "error" for finding in self.findings)
