from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from families.cases import (
    DAY,
    END_BROKEN,
    HOUR,
    NOW,
    PROJECT_BROKEN,
    Broken,
    Violations,
    check_named,
    each,
    filled,
    reasons,
    seconds,
)
from families.test_education import NAME, SUBJECT_BROKEN
from families.test_rtm import permission_broken, permissions
from support.decoding import decode
from support.keys import APP_ID, CERTIFICATE, OLD_CERTIFICATE
from support.serving import Running
from token_authority.v1 import issued_token_pb2
from token_authority.v1.access_token_pb2 import AccessTokenService, IssueAccessTokenRequest
from token_authority.v1.issued_token_pb2 import TOKEN_FORMAT_V007
from token_authority.v1.rtm_pb2 import RTM_ACCESS_WRITE, RTM_RESOURCE_TYPE_USER

PLACE: dict[str, Any] = {"channel_name": "lesson-1", "uid": 7}
RTC_TTLS = ("join_channel_ttl", "publish_audio_ttl", "publish_video_ttl", "publish_data_ttl")
STREAMING_TTLS = ("publish_mixed_ttl", "publish_raw_ttl")
FCDN_TTLS = ("publish_ttl", "play_ttl")
# What has a channel and a user: its fields with lifetimes, in the order of their privileges.
CHANNELLED = {"rtc": RTC_TTLS, "streaming": STREAMING_TTLS, "fcdn": FCDN_TTLS}
TYPES = {"rtc": 1, "streaming": 3, "fcdn": 6}
USER_ROOM = {"room_uuid": "r", "user_uuid": "u", "role": 0}

SMALLEST: dict[str, dict[str, Any]] = {
    "rtc": {**PLACE, "join_channel_ttl": seconds(60)},
    "rtm": {"user_id": "al"},
    "streaming": {**PLACE, "publish_mixed_ttl": seconds(60)},
    "fpa": {},
    "chat": {"user": {"user_id": "c"}},
    "fcdn": {**PLACE, "play_ttl": seconds(60)},
    "education": {"user": {"user_uuid": "u"}},
    "rtm2": {"user_id": "al"},
    "convo_ai": {},
    "stt": {},
}
"""The smallest valid part of each service, in the order of their types."""


def request(*services: dict[str, Any], **changes: Any) -> Any:
    return filled(IssueAccessTokenRequest, {"services": services}, changes)


async def issue(
    server: Running, *services: dict[str, Any], **changes: Any
) -> issued_token_pb2.IssuedToken:
    response = await server.stub.IssueAccessToken(request(*services, **changes))
    issued: issued_token_pb2.IssuedToken = response.issued_token
    return issued


def own(names: tuple[str, ...], *ttls: int) -> dict[str, Duration]:
    return {name: seconds(ttl) for name, ttl in zip(names, ttls, strict=True) if ttl}


def test_there_is_a_part_for_each_service_of_the_contract() -> None:
    fields = AccessTokenService.DESCRIPTOR.fields
    assert [field.name for field in fields] == [*SMALLEST]
    # They are Agora's types.
    assert [field.number for field in fields] == [*range(1, 11)]


ALONE: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        {"rtc": {**PLACE, **own(RTC_TTLS, 50, 40, 30, 20)}},
        {
            "type": 1,
            "privileges": {1: 50, 2: 40, 3: 30, 4: 20},
            "channel_name": "lesson-1",
            "uid": "7",
        },
    ),
    (
        {"rtc": {"any_channel": {}, "user_account": "0", "publish_video_ttl": seconds(50)}},
        {"type": 1, "privileges": {3: 50}, "channel_name": "*", "uid": "0"},
    ),
    ({"rtm": {"user_id": "a"}}, {"type": 2, "privileges": {1: 50}, "user_id": "a"}),
    (
        {"rtm": {"user_id": NAME, "login_ttl": seconds(9)}},
        {"type": 2, "privileges": {1: 9}, "user_id": NAME},
    ),
    (
        {"streaming": {**PLACE, **own(STREAMING_TTLS, 50, 9)}},
        {"type": 3, "privileges": {1: 50, 2: 9}, "channel_name": "lesson-1", "uid": "7"},
    ),
    (
        {"streaming": {"any_channel": {}, "uid": 2**32 - 1, "publish_raw_ttl": seconds(1)}},
        {"type": 3, "privileges": {2: 1}, "channel_name": "*", "uid": "4294967295"},
    ),
    ({"fpa": {}}, {"type": 4, "privileges": {1: 0}}),
    (
        {"chat": {"user": {"user_id": "c"}}},
        {"type": 5, "privileges": {1: 50}, "user_id": "c"},
    ),
    (
        {"chat": {"user": {"user_id": "c"}, "ttl": seconds(9)}},
        {"type": 5, "privileges": {1: 9}, "user_id": "c"},
    ),
    ({"chat": {"app": {}}}, {"type": 5, "privileges": {2: 50}, "user_id": ""}),
    (
        {"chat": {"app": {}, "ttl": seconds(9)}},
        {"type": 5, "privileges": {2: 9}, "user_id": ""},
    ),
    (
        {"fcdn": {**PLACE, **own(FCDN_TTLS, 9, 50)}},
        {"type": 6, "privileges": {1: 9, 2: 50}, "channel_name": "lesson-1", "uid": "7"},
    ),
    (
        {"fcdn": {"channel_name": "c", "any_user": {}, "publish_ttl": seconds(50)}},
        {"type": 6, "privileges": {1: 50}, "channel_name": "c", "uid": ""},
    ),
    (
        {"education": {"room_user": USER_ROOM}},
        {"type": 7, "privileges": {1: 50}, "room_uuid": "r", "user_uuid": "u", "role": 0},
    ),
    (
        {"education": {"room_user": {**USER_ROOM, "role": 32767}, "ttl": seconds(9)}},
        {"type": 7, "privileges": {1: 9}, "room_uuid": "r", "user_uuid": "u", "role": 32767},
    ),
    (
        {"education": {"user": {"user_uuid": "u"}}},
        {"type": 7, "privileges": {2: 50}, "room_uuid": "", "user_uuid": "u", "role": -1},
    ),
    (
        {"education": {"app": {}, "ttl": seconds(9)}},
        {"type": 7, "privileges": {3: 9}, "room_uuid": "", "user_uuid": "", "role": -1},
    ),
    (
        {"rtm2": {"user_id": "a"}},
        {"type": 8, "privileges": {1: 50}, "user_id": "a", "permissions": {}},
    ),
    (
        {
            "rtm2": {
                "user_id": "a",
                "permissions": permissions((RTM_RESOURCE_TYPE_USER, RTM_ACCESS_WRITE, ["é", "*"])),
                "login_ttl": seconds(9),
            }
        },
        {"type": 8, "privileges": {1: 9}, "user_id": "a", "permissions": {4: {1: ["é", "*"]}}},
    ),
    ({"convo_ai": {}}, {"type": 9, "privileges": {}}),
    ({"stt": {}}, {"type": 10, "privileges": {}}),
]


@pytest.mark.parametrize(("part", "service"), ALONE)
async def test_every_part_alone(
    server: Running, part: dict[str, Any], service: dict[str, Any]
) -> None:
    issued = await issue(server, part, ttl=seconds(50))
    decoded = decode(issued.token)
    assert decoded.fields == {
        "app_id": APP_ID,
        "issue_ts": NOW,
        "expire": 50,
        "salt": 1,
        "services": [service],
    }
    assert decoded.verifies(CERTIFICATE)
    assert not decoded.verifies(OLD_CERTIFICATE)
    assert issued.format == TOKEN_FORMAT_V007


@pytest.mark.parametrize("name", CHANNELLED)
@pytest.mark.parametrize(
    ("user", "text"),
    [
        ({"uid": 1}, "1"),
        ({"uid": 2**32 - 1}, "4294967295"),
        ({"user_account": "0"}, "0"),
        ({"user_account": "u" * 255}, "u" * 255),
        ({"any_user": {}}, ""),
    ],
)
async def test_every_user_of_a_part_with_a_channel(
    server: Running, name: str, user: dict[str, Any], text: str
) -> None:
    part = {"channel_name": "c" * 64, **user, CHANNELLED[name][0]: seconds(5)}
    (service,) = decode((await issue(server, {name: part})).token).fields["services"]
    assert service == {
        "type": TYPES[name],
        "privileges": {1: 5},
        "channel_name": "c" * 64,
        "uid": text,
    }


async def test_parts_are_sorted_by_type_and_equals_keep_their_order(server: Running) -> None:
    parts = [{name: part} for name, part in reversed(SMALLEST.items())]
    others = [{"rtm": {"user_id": user}} for user in ("z", "a", "z")]
    rooms = [
        {"rtc": {**PLACE, "channel_name": room, "join_channel_ttl": seconds(9)}} for room in "cab"
    ]
    issued = await issue(server, *others, *parts, *rooms)
    decoded = decode(issued.token)
    services = decoded.fields["services"]
    assert [service["type"] for service in services] == [1] * 4 + [2] * 4 + [*range(3, 11)]
    assert [service["channel_name"] for service in services[:4]] == ["lesson-1", "c", "a", "b"]
    assert [service["user_id"] for service in services[4:8]] == ["z", "a", "z", "al"]
    assert decoded.verifies(CERTIFICATE)


async def test_a_token_holds_32_parts(server: Running) -> None:
    issued = await issue(server, *[{"rtm": {"user_id": f"u{number}"}} for number in range(32)])
    services = decode(issued.token).fields["services"]
    assert [service["user_id"] for service in services] == [f"u{number}" for number in range(32)]


RTC = {"rtc": {**PLACE, **own(RTC_TTLS, 60, 90, 0, 0)}}
LIVES: list[tuple[str, list[dict[str, Any]], dict[str, Any], int, int]] = [
    ("the longest lifetime", [RTC, {"rtm": {"user_id": "a"}}], {}, 90, 60),
    ("a login's", [RTC, {"rtm": {"user_id": "a", "login_ttl": seconds(99)}}], {}, 99, 60),
    ("a shorter login", [RTC, {"rtm": {"user_id": "a", "login_ttl": seconds(5)}}], {}, 90, 5),
    ("an rtm2 login", [RTC, {"rtm2": {"user_id": "a", "login_ttl": seconds(5)}}], {}, 90, 5),
    ("a shorter chat login", [RTC, {"chat": {"app": {}, "ttl": seconds(5)}}], {}, 90, 5),
    ("a shorter lesson", [RTC, {"education": {"app": {}, "ttl": seconds(5)}}], {}, 90, 5),
    ("chat's", [{"chat": {"app": {}, "ttl": seconds(DAY)}}, RTC], {}, DAY, 60),
    ("education's", [{"education": {"app": {}, "ttl": seconds(7)}}], {}, 7, 7),
    # Publishing and playing are no logins.
    (
        "streaming's",
        [{"streaming": {**PLACE, **own(STREAMING_TTLS, 5, 70)}}],
        {},
        70,
        70,
    ),
    ("fcdn's", [{"fcdn": {**PLACE, **own(FCDN_TTLS, 5, 70)}}], {}, 70, 70),
    (
        "no join",
        [{"rtc": {**PLACE, "publish_data_ttl": seconds(70)}}],
        {"ttl": seconds(90)},
        90,
        90,
    ),
    ("none has one", [{"rtm": {"user_id": "a"}}, {"stt": {}}], {}, HOUR, HOUR),
    ("fpa alone", [{"fpa": {}}], {}, DAY, DAY),
    ("fpa twice", [{"fpa": {}}, {"fpa": {}}], {}, DAY, DAY),
    ("fpa and others", [{"fpa": {}}, {"convo_ai": {}}], {}, HOUR, HOUR),
    ("fpa and a lifetime", [{"fpa": {}}, RTC], {}, 90, 60),
    ("fpa with a ttl", [{"fpa": {}}], {"ttl": seconds(60)}, 60, 60),
    ("a ttl", [RTC], {"ttl": seconds(90)}, 90, 60),
    ("the longest ttl", [RTC], {"ttl": seconds(DAY)}, DAY, 60),
    ("the shortest ttl", [{"stt": {}}], {"ttl": seconds(1)}, 1, 1),
    (
        "a moment",
        [RTC],
        {"expire_time": Timestamp(seconds=NOW + 90, nanos=999_999_999)},
        90,
        60,
    ),
    (
        "the last moment",
        [RTC],
        {"expire_time": Timestamp(seconds=NOW + DAY, nanos=999_999_999)},
        DAY,
        60,
    ),
]


@pytest.mark.parametrize(
    ("parts", "end", "life", "usable"), [pytest.param(*row, id=name) for name, *row in LIVES]
)
async def test_how_long_it_lives_and_works(
    server: Running, parts: list[dict[str, Any]], end: dict[str, Any], life: int, usable: int
) -> None:
    issued = await issue(server, *parts, **end)
    assert decode(issued.token).fields["expire"] == life
    assert issued.expire_time == Timestamp(seconds=NOW + usable)
    assert issued.renew_time.seconds == NOW + usable - min(usable, max(30, usable // 10))


@pytest.mark.parametrize(
    ("parts", "advisories"),
    [
        ([{"rtc": {**PLACE, **own(RTC_TTLS, 61, 61, 61, 61)}}], []),
        ([{"rtc": {**PLACE, **own(RTC_TTLS, 61, 61, 61, 0)}}], ["SUBSCRIBER_NOT_ENFORCED"]),
        ([{"rtc": {**PLACE, **own(RTC_TTLS, 61, 61, 62, 61)}}], ["JOIN_ENDS_BEFORE_PUBLISH"]),
        ([RTC, RTC], ["SUBSCRIBER_NOT_ENFORCED", "JOIN_ENDS_BEFORE_PUBLISH", "SHORT_LIFE"]),
        ([{"rtc": {**PLACE, "publish_data_ttl": seconds(61)}}], ["NO_JOIN_PRIVILEGE"]),
        ([{"chat": {"app": {}}}, {"education": {"app": {}}}], ["APP_TOKEN_SERVER_SIDE_ONLY"]),
        ([{"education": {"app": {}}}], ["APP_TOKEN_SERVER_SIDE_ONLY"]),
        (
            [{"chat": {"app": {}}}, {"rtc": SMALLEST["rtc"]}],
            ["APP_TOKEN_SERVER_SIDE_ONLY", "SUBSCRIBER_NOT_ENFORCED", "SHORT_LIFE"],
        ),
        (
            [{name: part} for name, part in SMALLEST.items() if name != "rtc"],
            ["RTM_PERMISSIONS_INACTIVE", "SHORT_LIFE"],
        ),
    ],
)
async def test_every_advisory_comes_once(
    server: Running, parts: list[dict[str, Any]], advisories: list[str]
) -> None:
    assert reasons(await issue(server, *parts)) == advisories


def place_broken(name: str) -> list[Broken]:
    """Every broken rule on the channel and user of a part."""
    rows: list[tuple[str, dict[str, Any], Violations]] = [
        ("no channel", {"channel_name": None}, [("channel", "REQUIRED")]),
        ("channel empty", {"channel_name": ""}, [("channel_name", "STRING_MIN_BYTES")]),
        ("channel of 65", {"channel_name": "c" * 65}, [("channel_name", "STRING_MAX_BYTES")]),
        ("channel *", {"channel_name": "*"}, [("channel_name", "STRING_PATTERN")]),
        ("no user", {"uid": None}, [("user", "REQUIRED")]),
        ("uid 0", {"uid": 0}, [("uid", "INT64_GTE_LTE")]),
        ("uid -1", {"uid": -1}, [("uid", "INT64_GTE_LTE")]),
        ("uid 2^32+7", {"uid": 2**32 + 7}, [("uid", "INT64_GTE_LTE")]),
        ("account empty", {"user_account": ""}, [("user_account", "STRING_MIN_BYTES")]),
        ("account of 256", {"user_account": "a" * 256}, [("user_account", "STRING_MAX_BYTES")]),
        ("account *", {"user_account": "*"}, [("user_account", "STRING_PATTERN")]),
        (
            "any user in any channel",
            {"any_channel": {}, "any_user": {}},
            [("any_user", "ANY_USER_WITH_ANY_CHANNEL")],
        ),
        *(_pattern_broken() if name == "rtc" else ()),
    ]
    return [(what, replaced(SMALLEST[name], changes), named) for what, changes, named in rows]


def _pattern_broken() -> list[Broken]:
    return [
        (
            "a pattern of 65",
            {"channel_pattern": "c" * 64 + "*"},
            [("channel_pattern", "STRING_MAX_BYTES")],
        ),
        ("no pattern", {"channel_pattern": "a"}, [("channel_pattern", "STRING_PATTERN")]),
        (
            "any user in channels of a pattern",
            {"channel_pattern": "a*", "any_user": {}},
            [("any_user", "ANY_USER_WITH_CHANNEL_PATTERN")],
        ),
    ]


def replaced(part: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Changes a part; what is set of a oneof replaces what was."""
    oneofs = [
        {"channel_name", "any_channel", "channel_pattern"},
        {"uid", "user_account", "any_user"},
    ]
    gone = {name for members in oneofs if members & changes.keys() for name in members}
    kept = {name: value for name, value in part.items() if name not in gone}
    return {**kept, **{name: value for name, value in changes.items() if value is not None}}


def ttl_broken(base: dict[str, Any], field: str) -> list[Broken]:
    rows = [
        ("0", seconds(0), "DURATION_GTE_LTE"),
        ("of a day and a second", seconds(DAY + 1), "DURATION_GTE_LTE"),
        ("of 1.5 s", Duration(seconds=1, nanos=5 * 10**8), "NOT_WHOLE_SECONDS"),
    ]
    return [
        (f"{field} {what}", {**base, field: ttl}, [(field, reason)]) for what, ttl, reason in rows
    ]


def user_broken(name: str) -> list[Broken]:
    rows = [
        ("user unnamed", "", "STRING_MIN_LEN"),
        ("user of 65", "u" * 65, "STRING_MAX_LEN"),
        ("user not ASCII", "é", "STRING_PATTERN"),
        ("user a pattern", "a*", "STRING_PATTERN"),
        ("user with a space first", " a", "STRING_PATTERN"),
    ]
    return [
        (what, {**SMALLEST[name], "user_id": user}, [("user_id", reason)])
        for what, user, reason in rows
    ]


PART_BROKEN: dict[str, list[Broken]] = {
    **{
        name: [
            *place_broken(name),
            *[row for field in ttls for row in ttl_broken(PLACE, field)],
            ("no right", PLACE, [("", "PRIVILEGE_MISSING")]),
        ]
        for name, ttls in CHANNELLED.items()
    },
    "rtm": [*user_broken("rtm"), *ttl_broken(SMALLEST["rtm"], "login_ttl")],
    "chat": [
        ("no subject", {}, [("subject", "REQUIRED")]),
        ("user unnamed", {"user": {}}, [("user.user_id", "STRING_MIN_LEN")]),
        ("user of 65", {"user": {"user_id": "u" * 65}}, [("user.user_id", "STRING_MAX_LEN")]),
        ("user name", {"user": {"user_id": "al ice"}}, [("user.user_id", "STRING_PATTERN")]),
        *ttl_broken(SMALLEST["chat"], "ttl"),
    ],
    "education": [*SUBJECT_BROKEN, *ttl_broken(SMALLEST["education"], "ttl")],
    "rtm2": [
        *user_broken("rtm2"),
        *ttl_broken(SMALLEST["rtm2"], "login_ttl"),
        *[
            (what, {**SMALLEST["rtm2"], "permissions": changes}, violations)
            for what, changes, violations in permission_broken("rtm2", "permissions")
        ],
    ],
}

GOOD: list[dict[str, Any]] = [{"stt": {}}, {"rtm": {"user_id": "a"}}, {"fpa": {}}]


def in_request(name: str, broken: Broken) -> Broken:
    """A broken part as the fourth of a request."""
    what, part, violations = broken
    path = f"services[3].{name}"
    named = [(f"{path}.{field}" if field else path, reason) for field, reason in violations]
    return f"{name}: {what}", {"services": [*GOOD, {name: part}]}, named


BROKEN: list[Broken] = [
    *[in_request(name, broken) for name, rows in PART_BROKEN.items() for broken in rows],
    ("no parts", {"services": []}, [("services", "REPEATED_MIN_ITEMS")]),
    ("33 parts", {"services": [{"stt": {}}] * 33}, [("services", "REPEATED_MAX_ITEMS")]),
    ("a part unset", {"services": [{}]}, [("services[0].service", "REQUIRED")]),
    (
        "a lifetime beyond the token's",
        {"services": [RTC], "ttl": seconds(89)},
        [("services[0].rtc.publish_audio_ttl", "PRIVILEGE_OUTLIVES_TOKEN")],
    ),
    (
        "lifetimes beyond the moment it ends",
        {
            "services": [
                *GOOD,
                RTC,
                {"chat": {"app": {}, "ttl": seconds(11)}},
                {"rtm": {"user_id": "a", "login_ttl": seconds(11)}},
                {"education": {"app": {}, "ttl": seconds(10)}},
            ],
            "expire_time": Timestamp(seconds=NOW + 10, nanos=999_999_999),
        },
        [
            ("services[3].rtc.join_channel_ttl", "PRIVILEGE_OUTLIVES_TOKEN"),
            ("services[3].rtc.publish_audio_ttl", "PRIVILEGE_OUTLIVES_TOKEN"),
            ("services[4].chat.ttl", "PRIVILEGE_OUTLIVES_TOKEN"),
            ("services[5].rtm.login_ttl", "PRIVILEGE_OUTLIVES_TOKEN"),
        ],
    ),
    # With the token's own end wrong, what outlives it is not known.
    (
        "a moment that has passed, and lifetimes",
        {"services": [RTC], "expire_time": Timestamp(seconds=NOW - 1)},
        [("expire_time", "EXPIRE_TIME_TOO_EARLY")],
    ),
    (
        "a ttl of 1.5 s, and lifetimes",
        {"services": [RTC], "ttl": Duration(seconds=1, nanos=5 * 10**8)},
        [("ttl", "NOT_WHOLE_SECONDS")],
    ),
    *PROJECT_BROKEN,
    *END_BROKEN,
    (
        "several fields at once",
        {"services": [{}, {"rtc": {}}, {"rtm": {}}], "ttl": seconds(0)},
        [
            ("services[0].service", "REQUIRED"),
            ("services[1].rtc.channel", "REQUIRED"),
            ("services[1].rtc.user", "REQUIRED"),
            ("services[2].rtm.user_id", "STRING_MIN_LEN"),
            ("ttl", "DURATION_GTE_LTE"),
        ],
    ),
    (
        "several rules across fields at once",
        {
            "services": [
                {"rtc": {"any_channel": {}, "any_user": {}}},
                {"fcdn": PLACE},
                {"rtm": {"user_id": "a", "login_ttl": Duration(seconds=1, nanos=1)}},
                {
                    "rtm2": {
                        "user_id": "a",
                        "permissions": permissions((1, 1, []), (1, 1, [])),
                    }
                },
            ],
            "ttl": Duration(seconds=1, nanos=1),
        },
        [
            ("services[0].rtc", "PRIVILEGE_MISSING"),
            ("services[0].rtc.any_user", "ANY_USER_WITH_ANY_CHANNEL"),
            ("services[1].fcdn", "PRIVILEGE_MISSING"),
            ("services[2].rtm.login_ttl", "NOT_WHOLE_SECONDS"),
            ("services[3].rtm2.permissions.permissions[1]", "PERMISSION_REPEATED"),
            ("ttl", "NOT_WHOLE_SECONDS"),
        ],
    ),
]


@each(BROKEN)
async def test_a_broken_rule_is_named(
    server: Running, changes: dict[str, Any], violations: Violations
) -> None:
    await check_named(server, "IssueAccessToken", request(*GOOD, **changes), violations)
