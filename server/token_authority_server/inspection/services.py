"""The services of 007, by number: their names, rights, and what they carry. Values only."""

from collections.abc import Mapping
from typing import Final, NamedTuple

RTC: Final = 1
RTM: Final = 2
STREAMING: Final = 3
FPA: Final = 4
CHAT: Final = 5
FCDN: Final = 6
EDUCATION: Final = 7
RTM2: Final = 8
CONVO_AI: Final = 9
STT: Final = 10

JOIN: Final = 1
LOGIN: Final = 1


class ServiceType(NamedTuple):
    """What the bytes of a service mean."""

    name: str
    rights: Mapping[int, str] = {}
    """Privilege -> its name."""
    body: tuple[str, ...] = ()
    """The values behind the privileges: texts, but `role` and `permissions`."""
    user: str = ""
    """Which of them is the user; "" for none."""
    entries: tuple[int, ...] = ()
    """The rights to join or log in, without which the others are of no use."""


SERVICES: Final[Mapping[int, ServiceType]] = {
    RTC: ServiceType(
        "RTC",
        {1: "join_channel", 2: "publish_audio", 3: "publish_video", 4: "publish_data"},
        ("channel_name", "uid"),
        "uid",
        (1,),
    ),
    RTM: ServiceType("RTM", {1: "login"}, ("user_id",), "user_id", (1,)),
    STREAMING: ServiceType(
        "Streaming",
        {1: "publish_mixed", 2: "publish_raw"},
        ("channel_name", "account"),
        "account",
    ),
    FPA: ServiceType("FPA", {1: "login"}),
    CHAT: ServiceType("Chat", {1: "user", 2: "app"}, ("user_id",), "user_id", (1, 2)),
    FCDN: ServiceType("FCDN", {1: "publish", 2: "play"}, ("channel_name", "account"), "account"),
    EDUCATION: ServiceType(
        "Education",
        {1: "room_user", 2: "user", 3: "app"},
        ("room_uuid", "user_uuid", "role"),
        "user_uuid",
        (1, 2, 3),
    ),
    RTM2: ServiceType(
        "RTM with permissions", {1: "login"}, ("user_id", "permissions"), "user_id", (1,)
    ),
    CONVO_AI: ServiceType("Conversational AI"),
    STT: ServiceType("Speech to text"),
}
UNKNOWN: Final = ServiceType("unknown")

RESOURCES: Final[Mapping[int, str]] = {
    0: "message_channels",
    1: "stream_channels",
    2: "group_channels",
    3: "server_groups",
    4: "users",
}
ACCESSES: Final[Mapping[int, str]] = {0: "read", 1: "write"}
