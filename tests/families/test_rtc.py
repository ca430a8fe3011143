import hashlib
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from families.cases import (
    DAY,
    HOUR,
    LEGAL,
    NOW,
    Broken,
    Violations,
    check_named,
    each,
    filled,
    reasons,
    seconds,
)
from support.decoding import decode
from support.keys import APP_ID, CERTIFICATE, OLD_CERTIFICATE
from support.serving import PATH, Running, refused
from token_authority.v1 import issued_token_pb2
from token_authority.v1.issued_token_pb2 import TOKEN_FORMAT_V006, TOKEN_FORMAT_V007
from token_authority.v1.rtc_pb2 import (
    RTC_ROLE_PUBLISHER,
    RTC_ROLE_SUBSCRIBER,
    IssueRtcTokenRequest,
    IssueRtcTokenResponse,
)

BASE: dict[str, Any] = {"channel_name": "lesson-1", "uid": 7, "role": RTC_ROLE_PUBLISHER}


def request(**changes: Any) -> Any:
    return filled(IssueRtcTokenRequest, BASE, changes)


async def issue(server: Running, **changes: Any) -> issued_token_pb2.IssuedToken:
    response = await server.stub.IssueRtcToken(request(**changes))
    issued: issued_token_pb2.IssuedToken = response.issued_token
    return issued


CHANNELS: list[tuple[dict[str, Any], str]] = [
    ({}, "lesson-1"),
    ({"channel_name": None, "any_channel": {}}, "*"),
    ({"channel_name": None, "channel_pattern": "lesson-*"}, "lesson-*"),
    ({"channel_name": None, "channel_pattern": "1*a*2"}, "1*a*2"),
    ({"channel_name": None, "channel_pattern": f"*{'A_' * 31}*"}, f"*{'A_' * 31}*"),
]
USERS: list[tuple[dict[str, Any], str]] = [
    ({}, "7"),
    ({"uid": 2**32 - 1}, "4294967295"),
    ({"uid": None, "user_account": "alice"}, "alice"),
    ({"uid": None, "user_account": "0"}, "0"),
    ({"uid": None, "any_user": {}}, ""),
]
RIGHTS: list[tuple[dict[str, Any], dict[int, int], int]] = [
    ({}, {1: HOUR, 2: HOUR, 3: HOUR, 4: HOUR}, HOUR),
    ({"role": RTC_ROLE_SUBSCRIBER}, {1: HOUR}, HOUR),
    (
        {
            "role": None,
            "privileges": {
                "join_channel_ttl": seconds(30),
                "publish_audio_ttl": seconds(10),
                "publish_data_ttl": seconds(20),
            },
        },
        {1: 30, 2: 10, 4: 20},
        30,
    ),
]


@pytest.mark.parametrize(
    ("channel", "channel_text", "user", "user_text"),
    [
        (*channel, *user)
        for channel in CHANNELS
        for user in USERS
        # Refused: see BROKEN.
        if not ("channel_name" in channel[0] and "any_user" in user[0])
    ],
)
@pytest.mark.parametrize(("rights", "privileges", "life"), RIGHTS)
async def test_every_channel_user_and_rights_in_007(
    server: Running,
    channel: dict[str, Any],
    channel_text: str,
    user: dict[str, Any],
    user_text: str,
    rights: dict[str, Any],
    privileges: dict[int, int],
    life: int,
) -> None:
    issued = await issue(server, **channel, **user, **rights)
    decoded = decode(issued.token)
    assert decoded.fields == {
        "app_id": APP_ID,
        "issue_ts": NOW,
        "expire": life,
        "salt": 1,
        "services": [
            {"type": 1, "privileges": privileges, "channel_name": channel_text, "uid": user_text}
        ],
    }
    assert decoded.verifies(CERTIFICATE)
    assert issued.format == TOKEN_FORMAT_V007
    assert issued.expire_time.seconds == NOW + life
    assert issued.issue_time == Timestamp(seconds=NOW)


@pytest.mark.parametrize(("user", "user_text"), USERS)
@pytest.mark.parametrize(("rights", "privileges", "life"), RIGHTS)
async def test_every_user_and_rights_in_006(
    server: Running,
    user: dict[str, Any],
    user_text: str,
    rights: dict[str, Any],
    privileges: dict[int, int],
    life: int,
) -> None:
    issued = await issue(server, **user, **rights, format=TOKEN_FORMAT_V006)
    decoded = decode(issued.token)
    assert decoded.fields["privileges"] == {right: NOW + ttl for right, ttl in privileges.items()}
    assert decoded.fields["ts"] == NOW + DAY
    assert decoded.verifies(CERTIFICATE, "lesson-1", user_text)
    assert issued.format == TOKEN_FORMAT_V006
    # Never ts, which is a day after issue whatever the privileges say.
    assert issued.expire_time.seconds == NOW + life
    assert "LEGACY_FORMAT_006" in reasons(issued)


async def test_the_answer_describes_the_token(server: Running) -> None:
    issued = await issue(server)
    assert issued.token_id == hashlib.sha256(issued.token.encode()).hexdigest()[:32]
    assert (issued.key_id, issued.app_id) == ("cert-2", APP_ID)
    assert not issued.advisories
    assert not decode(issued.token).verifies(OLD_CERTIFICATE)


@pytest.mark.parametrize(
    ("login", "life"), [({"user_id": "al"}, 50), ({"user_id": "al", "ttl": seconds(9)}, 9)]
)
async def test_an_rtm_login_rides_in_the_same_token(
    server: Running, login: dict[str, Any], life: int
) -> None:
    issued = await issue(server, ttl=seconds(50), rtm=login)
    rtc, rtm = decode(issued.token).fields["services"]
    assert rtc["privileges"] == {1: 50, 2: 50, 3: 50, 4: 50}
    assert rtm == {"type": 2, "privileges": {1: life}, "user_id": "al"}
    assert issued.expire_time.seconds == NOW + life


@pytest.mark.parametrize(
    ("end", "life"),
    [
        ({"ttl": seconds(1)}, 1),
        ({"ttl": seconds(DAY)}, DAY),
        ({"expire_time": Timestamp(seconds=NOW + 10)}, 10),
        ({"expire_time": Timestamp(seconds=NOW + 10, nanos=999_999_999)}, 10),
        ({"expire_time": Timestamp(seconds=NOW + 1, nanos=123_000_000)}, 1),
        ({"expire_time": Timestamp(seconds=NOW + DAY, nanos=999_999_999)}, DAY),
    ],
)
async def test_the_end_as_lifetime_or_moment(
    server: Running, end: dict[str, Any], life: int
) -> None:
    issued = await issue(server, **end)
    assert decode(issued.token).fields["expire"] == life
    assert issued.expire_time == Timestamp(seconds=NOW + life)


async def test_with_privileges_the_token_lives_as_long_as_the_longest(server: Running) -> None:
    privileges = {"join_channel_ttl": seconds(10), "publish_video_ttl": seconds(70)}
    issued = await issue(server, role=None, privileges=privileges)
    assert decode(issued.token).fields["expire"] == 70
    assert issued.expire_time.seconds == NOW + 10
    assert reasons(issued) == [
        "SUBSCRIBER_NOT_ENFORCED",
        "JOIN_ENDS_BEFORE_PUBLISH",
        "SHORT_LIFE",
    ]
    with_login = await issue(
        server, role=None, privileges=privileges, rtm={"user_id": "a", "ttl": seconds(90)}
    )
    assert decode(with_login.token).fields["expire"] == 90


async def test_a_subscriber_is_advised_that_agora_may_let_it_publish(server: Running) -> None:
    assert reasons(await issue(server, role=RTC_ROLE_SUBSCRIBER)) == ["SUBSCRIBER_NOT_ENFORCED"]
    assert reasons(await issue(server, role=RTC_ROLE_PUBLISHER)) == []


PRIVILEGES = {"role": None, "privileges": {"join_channel_ttl": seconds(60)}}
BROKEN: list[Broken] = [
    ("no channel", {"channel_name": None}, [("channel", "REQUIRED")]),
    ("channel empty", {"channel_name": ""}, [("channel_name", "STRING_MIN_BYTES")]),
    ("channel of 65 bytes", {"channel_name": "c" * 65}, [("channel_name", "STRING_MAX_BYTES")]),
    ("channel of other letters", {"channel_name": "é"}, [("channel_name", "STRING_PATTERN")]),
    ("channel *", {"channel_name": "*"}, [("channel_name", "STRING_PATTERN")]),
    ("channel in lines", {"channel_name": "a\n"}, [("channel_name", "STRING_PATTERN")]),
    ("no user", {"uid": None}, [("user", "REQUIRED")]),
    ("uid 0", {"uid": 0}, [("uid", "INT64_GTE_LTE")]),
    ("uid -1", {"uid": -1}, [("uid", "INT64_GTE_LTE")]),
    ("uid 2^32", {"uid": 2**32}, [("uid", "INT64_GTE_LTE")]),
    ("uid 2^32+7", {"uid": 2**32 + 7}, [("uid", "INT64_GTE_LTE")]),
    ("uid 2^63-1", {"uid": 2**63 - 1}, [("uid", "INT64_GTE_LTE")]),
    ("account empty", {"uid": None, "user_account": ""}, [("user_account", "STRING_MIN_BYTES")]),
    (
        "account of 256 bytes",
        {"uid": None, "user_account": "a" * 256},
        [("user_account", "STRING_MAX_BYTES")],
    ),
    ("account with *", {"uid": None, "user_account": "a*"}, [("user_account", "STRING_PATTERN")]),
    ("no rights", {"role": None}, [("rights", "REQUIRED")]),
    ("role unset", {"role": 0}, [("role", "ENUM_NOT_IN")]),
    ("role unknown", {"role": 101}, [("role", "ENUM_DEFINED_ONLY")]),
    (
        "privileges without join",
        {"role": None, "privileges": {"publish_audio_ttl": seconds(5)}},
        [("privileges.join_channel_ttl", "REQUIRED")],
    ),
    *[
        (
            f"{right} {ttl.seconds}",
            {"role": None, "privileges": {"join_channel_ttl": seconds(5), right: ttl}},
            [(f"privileges.{right}", "DURATION_GTE_LTE")],
        )
        for right in (
            "join_channel_ttl",
            "publish_audio_ttl",
            "publish_video_ttl",
            "publish_data_ttl",
        )
        for ttl in (seconds(0), seconds(DAY + 1))
    ],
    (
        "a privilege of 1.5 s",
        {"role": None, "privileges": {"join_channel_ttl": Duration(seconds=1, nanos=5 * 10**8)}},
        [("privileges.join_channel_ttl", "NOT_WHOLE_SECONDS")],
    ),
    (
        "a privilege that outlives its token",
        {**PRIVILEGES, "ttl": seconds(59)},
        [("privileges.join_channel_ttl", "PRIVILEGE_OUTLIVES_TOKEN")],
    ),
    ("ttl 0", {"ttl": seconds(0)}, [("ttl", "DURATION_GTE_LTE")]),
    ("ttl negative", {"ttl": seconds(-1)}, [("ttl", "DURATION_GTE_LTE")]),
    ("ttl 25 h", {"ttl": seconds(25 * HOUR)}, [("ttl", "DURATION_GTE_LTE")]),
    ("ttl 0.4 s", {"ttl": Duration(nanos=4 * 10**8)}, [("ttl", "DURATION_GTE_LTE")]),
    ("ttl 1.0000005 s", {"ttl": Duration(seconds=1, nanos=500)}, [("ttl", "NOT_WHOLE_SECONDS")]),
    ("ttl denormal", {"ttl": Duration(seconds=1, nanos=10**9)}, [("ttl", "NOT_WHOLE_SECONDS")]),
    ("ttl beyond all", {"ttl": seconds(-(2**63))}, [("ttl", "DURATION_GTE_LTE")]),
    ("ttl an epoch", {"ttl": seconds(NOW + HOUR)}, [("ttl", "DURATION_GTE_LTE")]),
    (
        "end in the past",
        {"expire_time": Timestamp(seconds=NOW - 1)},
        [("expire_time", "EXPIRE_TIME_TOO_EARLY")],
    ),
    ("end at 0", {"expire_time": Timestamp()}, [("expire_time", "EXPIRE_TIME_TOO_EARLY")]),
    (
        "end in 0.4 s",
        {"expire_time": Timestamp(seconds=NOW, nanos=523_000_000)},
        [("expire_time", "EXPIRE_TIME_TOO_EARLY")],
    ),
    (
        "end in 0.9 s, in the next second",
        {"expire_time": Timestamp(seconds=NOW + 1, nanos=23_000_000)},
        [("expire_time", "EXPIRE_TIME_TOO_EARLY")],
    ),
    (
        "end in 25 h",
        {"expire_time": Timestamp(seconds=NOW + 25 * HOUR)},
        [("expire_time", "EXPIRE_TIME_TOO_LATE")],
    ),
    (
        "end denormal",
        {"expire_time": Timestamp(seconds=NOW + 9, nanos=10**9)},
        [("expire_time", "TIMESTAMP_INVALID")],
    ),
    ("format netless", {"format": 3}, [("format", "ENUM_NOT_IN")]),
    ("format unknown", {"format": 4}, [("format", "ENUM_DEFINED_ONLY")]),
    ("rtm unnamed", {"rtm": {}}, [("rtm.user_id", "STRING_MIN_LEN")]),
    ("rtm of 65", {"rtm": {"user_id": "u" * 65}}, [("rtm.user_id", "STRING_MAX_LEN")]),
    ("rtm not ASCII", {"rtm": {"user_id": "é"}}, [("rtm.user_id", "STRING_PATTERN")]),
    ("rtm a pattern", {"rtm": {"user_id": "a*"}}, [("rtm.user_id", "STRING_PATTERN")]),
    ("rtm spaced", {"rtm": {"user_id": " a"}}, [("rtm.user_id", "STRING_PATTERN")]),
    ("rtm ttl 0", {"rtm": {"user_id": "a", "ttl": seconds(0)}}, [("rtm.ttl", "DURATION_GTE_LTE")]),
    (
        "rtm outlives the token",
        {"rtm": {"user_id": "a", "ttl": seconds(HOUR + 1)}},
        [("rtm.ttl", "PRIVILEGE_OUTLIVES_TOKEN")],
    ),
    ("rtm in 006", {"rtm": {"user_id": "a"}, "format": 1}, [("rtm", "RTM_LOGIN_NEEDS_V007")]),
    (
        "any channel in 006",
        {"channel_name": None, "any_channel": {}, "format": 1},
        [("any_channel", "ANY_CHANNEL_NEEDS_V007")],
    ),
    (
        "any channel for any user",
        {"channel_name": None, "any_channel": {}, "uid": None, "any_user": {}},
        [("any_user", "ANY_USER_WITH_ANY_CHANNEL")],
    ),
    (
        "a pattern in 006",
        {"channel_name": None, "channel_pattern": "a*", "format": 1},
        [("channel_pattern", "CHANNEL_PATTERN_NEEDS_V007")],
    ),
    (
        "a pattern for any user",
        {"channel_name": None, "channel_pattern": "a*", "uid": None, "any_user": {}},
        [("any_user", "ANY_USER_WITH_CHANNEL_PATTERN")],
    ),
    (
        "a pattern of 65",
        {"channel_name": None, "channel_pattern": "c" * 64 + "*"},
        [("channel_pattern", "STRING_MAX_BYTES")],
    ),
    *[
        (
            f"the pattern {pattern!r}",
            {"channel_name": None, "channel_pattern": pattern},
            [("channel_pattern", "STRING_PATTERN")],
        )
        for pattern in ("", "*", "**", "a", "a**", "a*.", "a?*", "a *", "[a]*", "é*", "a*\n")
    ],
    ("project misspelt", {"project": "-x"}, [("project", "STRING_PATTERN")]),
    ("project too long", {"project": "p" * 64}, [("project", "STRING_MAX_LEN")]),
    ("project unset among several", {"project": ""}, [("project", "REQUIRED")]),
    (
        "several at once",
        {"channel_name": None, "uid": 0, "role": 0, "ttl": seconds(0)},
        [
            ("channel", "REQUIRED"),
            ("role", "ENUM_NOT_IN"),
            ("ttl", "DURATION_GTE_LTE"),
            ("uid", "INT64_GTE_LTE"),
        ],
    ),
    (
        "several across fields at once",
        {
            "channel_name": None,
            "any_channel": {},
            "format": 1,
            "rtm": {"user_id": "a"},
            "ttl": Duration(seconds=1, nanos=1),
        },
        [
            ("any_channel", "ANY_CHANNEL_NEEDS_V007"),
            ("rtm", "RTM_LOGIN_NEEDS_V007"),
            ("ttl", "NOT_WHOLE_SECONDS"),
        ],
    ),
]


@each(BROKEN)
async def test_a_broken_rule_is_named(
    server: Running, changes: dict[str, Any], violations: Violations
) -> None:
    await check_named(server, "IssueRtcToken", request(**changes), violations)


async def test_a_uid_beyond_32_bits_is_not_cut_when_it_comes_as_raw_bytes(server: Running) -> None:
    # What a stub with a 64-bit field would send for uid 2^32 + 7: cut to 32 bits it would be 7.
    raw = request(uid=None).SerializeToString() + b"\x20\x87\x80\x80\x80\x10"
    call = server.channel.unary_unary(PATH + "IssueRtcToken")(raw)
    assert (await refused(call)).violations == [("uid", "INT64_GTE_LTE")]


async def test_validate_only_explains_and_signs_nothing(server: Running) -> None:
    response: IssueRtcTokenResponse = await server.stub.IssueRtcToken(
        request(role=RTC_ROLE_SUBSCRIBER, ttl=seconds(5), validate_only=True)
    )
    assert not response.HasField("issued_token")
    decision = response.decision
    assert (decision.caller, decision.grant, decision.key_id) == (
        "tester",
        "all-of-classroom",
        "cert-2",
    )
    assert (decision.ttl.seconds, decision.max_ttl.seconds) == (5, DAY)
    assert [advisory.reason for advisory in decision.advisories] == [
        "SUBSCRIBER_NOT_ENFORCED",
        "SHORT_LIFE",
    ]


TTL = st.integers(1, DAY)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    channel=st.text(LEGAL, min_size=1, max_size=64),
    user=st.one_of(
        st.fixed_dictionaries({"uid": st.integers(1, 2**32 - 1)}),
        st.fixed_dictionaries({"user_account": st.text(LEGAL, min_size=1, max_size=255)}),
        st.just({"any_user": {}}),
    ),
    life=TTL,
    token_format=st.sampled_from([0, TOKEN_FORMAT_V006, TOKEN_FORMAT_V007]),
)
async def test_any_valid_request_round_trips(
    server: Running, channel: str, user: dict[str, Any], life: int, token_format: int
) -> None:
    changes = {"uid": None, "channel_name": channel, "ttl": seconds(life), **user}
    issued = await issue(server, **changes, format=token_format)
    text = str(user.get("uid", user.get("user_account", "")))
    decoded = decode(issued.token)
    if issued.format == TOKEN_FORMAT_V006:
        assert decoded.verifies(CERTIFICATE, channel, text)
        assert set(decoded.fields["privileges"].values()) == {NOW + life}
    else:
        assert decoded.verifies(CERTIFICATE)
        (service,) = decoded.fields["services"]
        assert (service["channel_name"], service["uid"]) == (channel, text)
        assert set(service["privileges"].values()) == {life} == {decoded.fields["expire"]}


def test_there_are_89_legal_characters() -> None:
    assert len(set(LEGAL)) == len(LEGAL) == 89
