"""Strategies for parts of random requests, and calls of Agora's packages."""

import os
import secrets
import string
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from families.cases import DAY, LEGAL
from support.keys import APP_ID, CERTIFICATE
from token_authority.v1 import rtc_pb2, rtm_pb2
from token_authority_server.families import Moment

SEED: Final = int(os.environ.get("DIFFERENTIAL_SEED") or secrets.randbelow(2**32))
MAX_U32 = 2**32 - 1
IDS = [APP_ID, CERTIFICATE]


@dataclass(frozen=True)
class Call:
    """A function of Agora's packages, by its name in tests/npm/build.js, and its arguments."""

    builder: str
    args: list[Any]


@dataclass(frozen=True)
class Case:
    """A request, and the equivalent call of Agora's packages."""

    request: dict[str, Any]
    call: Call
    flawed: Call | None = None
    """Agora's builder if it has a defect; `call` then does what its other languages do."""


def service(name: str, args: list[Any], privileges: dict[int, int], **more: int) -> dict[str, Any]:
    """Returns one service for `raw.token.services007`."""
    return {"service": name, "args": args, "privileges": privileges, **more}


def raw(life: int, *services: dict[str, Any]) -> Call:
    return Call("raw.token.services007", [*IDS, life, services])


def text(alphabet: str, longest: int) -> SearchStrategy[str]:
    """Returns a strategy for texts of 1 to `longest` characters that draws the longest often."""
    usual = st.text(alphabet, min_size=1, max_size=longest)
    return usual | st.text(alphabet, min_size=longest, max_size=longest)


PRINTABLE = "".join(chr(code) for code in range(0x20, 0x7F)).replace("*", "")
NAMES = text(PRINTABLE, 64).map(lambda name: "!" + name[1:] if name[0] == " " else name)
UUIDS = text(string.ascii_letters + string.digits + "-_", 64)
MOMENTS = st.builds(
    Moment,
    # Unix seconds that still fit into 32 bits a day later, as 006 writes them.
    now_ms=st.integers(10**12, (MAX_U32 - DAY) * 1000),
    salt=st.integers(0, MAX_U32),
    random_bytes=st.uuids(version=4).map(lambda uuid: uuid.bytes),
)


@st.composite
def ends(
    draw: DrawFn,
    now_ms: int,
    unset: int,
    shortest: int = 1,
    longest: int = DAY,
    unit_ms: int = 1000,
) -> tuple[dict[str, Any], int]:
    """Draws an expiration and the lifetime that it means, in units; `unset` if it is not set."""
    way = draw(st.sampled_from(["unset", "ttl", "expire_time"]))
    if way == "unset":
        return {}, unset
    life = draw(st.integers(shortest, longest) | st.sampled_from([shortest, longest]))
    ms = life * unit_ms
    if way == "ttl":
        return {"ttl": Duration(seconds=ms // 1000, nanos=ms % 1000 * 1_000_000)}, life
    # Any time that is rounded down to this unit, but at least one unit after now.
    end_ms = now_ms // unit_ms * unit_ms + ms
    nanos = draw(st.integers(now_ms % unit_ms * 1_000_000, unit_ms * 1_000_000 - 1))
    total = end_ms * 1_000_000 + nanos
    return {"expire_time": Timestamp(seconds=total // 10**9, nanos=total % 10**9)}, life


def lifetimes(names: tuple[str, ...], values: tuple[int | None, ...]) -> dict[str, Duration]:
    """Returns the fields of the granted privileges."""
    pairs = zip(names, values, strict=True)
    return {name: Duration(seconds=value) for name, value in pairs if value is not None}


def granted(values: tuple[int | None, ...]) -> dict[int, int]:
    """Returns the granted privileges by Agora's numbers."""
    return {right: value for right, value in enumerate(values, start=1) if value is not None}


TTLS = st.integers(1, DAY) | st.sampled_from([1, DAY])
MAYBE = st.none() | TTLS
ROLES = st.sampled_from([(rtc_pb2.RTC_ROLE_PUBLISHER, 1), (rtc_pb2.RTC_ROLE_SUBSCRIBER, 2)])
RTC_TTLS = ("join_channel_ttl", "publish_audio_ttl", "publish_video_ttl", "publish_data_ttl")
NAMED_CHANNELS = text(LEGAL, 64).map(lambda name: ({"channel_name": name}, name))
USERS: SearchStrategy[tuple[dict[str, Any], int | str]] = st.one_of(
    st.integers(1, MAX_U32).map(lambda uid: ({"uid": uid}, uid)),
    text(LEGAL, 255).map(lambda account: ({"user_account": account}, account)),
    st.just(({"user_account": "0"}, "0")),
)
ANY_USER: SearchStrategy[tuple[dict[str, Any], int | str]] = st.just(({"any_user": {}}, 0))
ANY_CHANNEL: SearchStrategy[tuple[dict[str, Any], str]] = st.just(({"any_channel": {}}, "*"))
PLACES = st.tuples(NAMED_CHANNELS, USERS | ANY_USER) | st.tuples(ANY_CHANNEL, USERS)


RESOURCE_TYPES = {
    rtm_pb2.RTM_RESOURCE_TYPE_MESSAGE_CHANNEL: 0,
    rtm_pb2.RTM_RESOURCE_TYPE_STREAM_CHANNEL: 1,
    rtm_pb2.RTM_RESOURCE_TYPE_GROUP_CHANNEL: 2,
    rtm_pb2.RTM_RESOURCE_TYPE_SERVER_GROUP: 3,
    rtm_pb2.RTM_RESOURCE_TYPE_USER: 4,
}
ACCESSES = {rtm_pb2.RTM_ACCESS_READ: 0, rtm_pb2.RTM_ACCESS_WRITE: 1}


@st.composite
def permissions(draw: DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """Draws RTM permissions as our fields and as Agora's arguments."""
    pairs = st.tuples(st.sampled_from([*RESOURCE_TYPES]), st.sampled_from([*ACCESSES]))
    # Any text: only the length of these names is restricted.
    names = st.lists(st.text(min_size=1, max_size=20), max_size=3)
    rows = draw(st.lists(st.tuples(pairs, names), max_size=5, unique_by=lambda row: row[0]))
    ours = [
        {"resource_type": resource_type, "access": access, "resources": resources}
        for (resource_type, access), resources in rows
    ]
    theirs = [
        [RESOURCE_TYPES[resource_type], ACCESSES[access], resources]
        for (resource_type, access), resources in rows
    ]
    return {"permissions": ours}, {"permissions": theirs}
