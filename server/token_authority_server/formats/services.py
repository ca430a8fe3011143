"""The services of AccessToken2: their numbers, names, privileges and body fields. Values only.

Everything that packs, decodes, issues or grants a service derives from this table.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple


class BodyField(NamedTuple):
    """One value after the privileges of a service."""

    name: str
    type: Literal["string", "i16", "permissions"] = "string"


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """One service of Agora, as 007 tokens carry it."""

    number: int
    """Agora's service type, a u16."""
    name: str
    """Its member of AccessTokenService in the contract."""
    title: str
    """Its name in explanations."""
    privileges: Mapping[str, int] = field(default_factory=dict[str, int])
    """Name -> Agora's number. The contract calls the lifetime of a privilege `NAME_ttl`."""
    body: tuple[BodyField, ...] = ()
    """The values after the privileges, in order."""
    user: str = ""
    """The body field that names the user; "" for none."""
    entries: tuple[str, ...] = ()
    """The privileges to join or log in, without which the others are useless."""

    @property
    def ttl_fields(self) -> Mapping[str, int]:
        """The contract's fields for lifetimes, with the numbers of their privileges."""
        return {f"{name}_ttl": number for name, number in self.privileges.items()}


_CHANNEL: Final = BodyField("channel_name")

RTC: Final = ServiceSpec(
    1,
    "rtc",
    "RTC",
    {"join_channel": 1, "publish_audio": 2, "publish_video": 3, "publish_data": 4},
    (_CHANNEL, BodyField("uid")),
    user="uid",
    entries=("join_channel",),
)
RTM: Final = ServiceSpec(
    2, "rtm", "RTM", {"login": 1}, (BodyField("user_id"),), user="user_id", entries=("login",)
)
STREAMING: Final = ServiceSpec(
    3,
    "streaming",
    "Streaming",
    {"publish_mixed": 1, "publish_raw": 2},
    (_CHANNEL, BodyField("account")),
    user="account",
)
FPA: Final = ServiceSpec(4, "fpa", "FPA", {"login": 1})
CHAT: Final = ServiceSpec(
    5,
    "chat",
    "Chat",
    {"user": 1, "app": 2},
    (BodyField("user_id"),),
    user="user_id",
    entries=("user", "app"),
)
FCDN: Final = ServiceSpec(
    6,
    "fcdn",
    "FCDN",
    {"publish": 1, "play": 2},
    (_CHANNEL, BodyField("account")),
    user="account",
)
EDUCATION: Final = ServiceSpec(
    7,
    "education",
    "Education",
    {"room_user": 1, "user": 2, "app": 3},
    (BodyField("room_uuid"), BodyField("user_uuid"), BodyField("role", "i16")),
    user="user_uuid",
    entries=("room_user", "user", "app"),
)
RTM2: Final = ServiceSpec(
    8,
    "rtm2",
    "RTM with permissions",
    {"login": 1},
    (BodyField("user_id"), BodyField("permissions", "permissions")),
    user="user_id",
    entries=("login",),
)
CONVO_AI: Final = ServiceSpec(9, "convo_ai", "Conversational AI")
STT: Final = ServiceSpec(10, "stt", "Speech to text")

SERVICES: Final = (RTC, RTM, STREAMING, FPA, CHAT, FCDN, EDUCATION, RTM2, CONVO_AI, STT)
"""All of them, by number."""

RTM_RESOURCE_TYPES: Final[Mapping[str, int]] = {
    "message_channel": 0,
    "stream_channel": 1,
    "group_channel": 2,
    "server_group": 3,
    "user": 4,
}
"""What a permission of RTM2 is about."""
RTM_ACCESSES: Final[Mapping[str, int]] = {"read": 0, "write": 1}
"""What it allows."""
