from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from families.cases import Broken, Violations, check_named, each, filled
from support.decoding import decode
from support.keys import ACCESS_KEY, NONCE, NOW_MS, SECRET_KEY
from support.serving import Running
from token_authority.v1 import issued_token_pb2
from token_authority.v1.whiteboard_pb2 import (
    WHITEBOARD_ROLE_ADMIN,
    WHITEBOARD_ROLE_READER,
    WHITEBOARD_ROLE_WRITER,
    IssueWhiteboardTokenRequest,
)

YEAR_S = 365 * 86400
BASE: dict[str, Any] = {
    "room": {"room_uuid": "4a50cb3b6a0c4b5e"},
    "role": WHITEBOARD_ROLE_WRITER,
}


def request(**changes: Any) -> Any:
    return filled(IssueWhiteboardTokenRequest, BASE, changes)


async def issue(server: Running, **changes: Any) -> issued_token_pb2.IssuedToken:
    response = await server.stub.IssueWhiteboardToken(request(**changes))
    issued: issued_token_pb2.IssuedToken = response.issued_token
    return issued


@pytest.mark.parametrize(
    ("role", "digit"),
    [(WHITEBOARD_ROLE_ADMIN, "0"), (WHITEBOARD_ROLE_WRITER, "1"), (WHITEBOARD_ROLE_READER, "2")],
)
@pytest.mark.parametrize(
    ("scope", "prefix", "content"),
    [
        ({"room": None, "sdk": {}}, "NETLESSSDK_", {}),
        ({"room": {"room_uuid": "r-1"}}, "NETLESSROOM_", {"uuid": "r-1"}),
        ({"room": None, "task": {"task_uuid": "t_1"}}, "NETLESSTASK_", {"uuid": "t_1"}),
    ],
    ids=["sdk", "room", "task"],
)
@pytest.mark.parametrize(
    ("end", "expire_at"),
    [
        ({}, NOW_MS + 3_600_000),
        ({"ttl": Duration(nanos=1_000_000)}, NOW_MS + 1),
        ({"ttl": Duration(seconds=10 * YEAR_S)}, NOW_MS + 10 * YEAR_S * 1000),
        ({"expire_time": Timestamp(seconds=1_700_000_001, nanos=7_999_999)}, 1_700_000_001_007),
        ({"non_expiring": {}}, None),
    ],
    ids=["default", "1 ms", "10 years", "at a time", "never"],
)
async def test_every_scope_role_and_end(
    server: Running,
    role: int,
    digit: str,
    scope: dict[str, Any],
    prefix: str,
    content: dict[str, str],
    end: dict[str, Any],
    expire_at: int | None,
) -> None:
    issued = await issue(server, role=role, **scope, **end)
    decoded = decode(issued.token)
    fields = {name: value for name, value in decoded.fields.items() if name != "sig"}
    expected = {"prefix": prefix, "ak": ACCESS_KEY, "nonce": NONCE, "role": digit, **content}
    if expire_at is not None:
        expected["expireAt"] = str(expire_at)
        assert issued.expire_time.ToMilliseconds() == expire_at
    assert fields == expected
    assert decoded.verifies(SECRET_KEY)
    assert (
        issued.HasField("expire_time") == issued.HasField("renew_time") == (expire_at is not None)
    )
    assert issued.format == issued_token_pb2.TOKEN_FORMAT_NETLESS
    assert (issued.key_id, issued.app_id) == ("ak-1", "")
    assert issued.issue_time.ToMilliseconds() == NOW_MS


async def test_only_an_sdk_token_is_advised_against_clients(server: Running) -> None:
    sdk = await issue(server, room=None, sdk={})
    assert [advisory.reason for advisory in sdk.advisories] == ["SDK_TOKEN_SERVER_SIDE_ONLY"]
    assert not (await issue(server)).advisories


BROKEN: list[Broken] = [
    ("no scope", {"room": None}, [("scope", "REQUIRED")]),
    ("room unnamed", {"room": {}}, [("room.room_uuid", "STRING_MIN_LEN")]),
    ("room too long", {"room": {"room_uuid": "r" * 65}}, [("room.room_uuid", "STRING_MAX_LEN")]),
    ("room quoted", {"room": {"room_uuid": 'a"b'}}, [("room.room_uuid", "STRING_PATTERN")]),
    ("room in lines", {"room": {"room_uuid": "ab\n"}}, [("room.room_uuid", "STRING_PATTERN")]),
    ("task unnamed", {"room": None, "task": {}}, [("task.task_uuid", "STRING_MIN_LEN")]),
    (
        "task too long",
        {"room": None, "task": {"task_uuid": "t" * 65}},
        [("task.task_uuid", "STRING_MAX_LEN")],
    ),
    (
        "task with a space",
        {"room": None, "task": {"task_uuid": "a b"}},
        [("task.task_uuid", "STRING_PATTERN")],
    ),
    ("no role", {"role": None}, [("role", "REQUIRED")]),
    ("unknown role", {"role": 9}, [("role", "ENUM_DEFINED_ONLY")]),
    ("project misspelt", {"project": "Class Room"}, [("project", "STRING_PATTERN")]),
    ("project too long", {"project": "p" * 64}, [("project", "STRING_MAX_LEN")]),
    ("ttl 0", {"ttl": Duration()}, [("ttl", "DURATION_GTE_LTE")]),
    ("ttl negative", {"ttl": Duration(seconds=-1)}, [("ttl", "DURATION_GTE_LTE")]),
    ("ttl under 1 ms", {"ttl": Duration(nanos=999_999)}, [("ttl", "DURATION_GTE_LTE")]),
    (
        "ttl over 10 years",
        {"ttl": Duration(seconds=10 * YEAR_S, nanos=1)},
        [("ttl", "DURATION_GTE_LTE")],
    ),
    ("ttl beyond all", {"ttl": Duration(seconds=2**62)}, [("ttl", "DURATION_GTE_LTE")]),
    ("ttl 1.5 ms", {"ttl": Duration(nanos=1_500_000)}, [("ttl", "NOT_WHOLE_MILLISECONDS")]),
    (
        "ttl denormal",
        {"ttl": Duration(seconds=1, nanos=2**30)},
        [("ttl", "NOT_WHOLE_MILLISECONDS")],
    ),
    (
        "end in the past",
        {"expire_time": Timestamp(seconds=1_699_999_999)},
        [("expire_time", "EXPIRE_TIME_TOO_EARLY")],
    ),
    (
        "end now",
        {"expire_time": Timestamp(seconds=1_700_000_000, nanos=123_999_999)},
        [("expire_time", "EXPIRE_TIME_TOO_EARLY")],
    ),
    (
        "end beyond 10 years",
        {"expire_time": Timestamp(seconds=1_700_000_000 + 10 * YEAR_S, nanos=124_000_000)},
        [("expire_time", "EXPIRE_TIME_TOO_LATE")],
    ),
    (
        "end beyond all",
        {"expire_time": Timestamp(seconds=2**62)},
        [("expire_time", "EXPIRE_TIME_TOO_LATE")],
    ),
    (
        "end denormal",
        {"expire_time": Timestamp(seconds=1_700_000_009, nanos=-1)},
        [("expire_time", "TIMESTAMP_INVALID")],
    ),
]


@each(BROKEN)
async def test_a_broken_rule_is_named(
    server: Running, changes: dict[str, Any], violations: Violations
) -> None:
    await check_named(server, "IssueWhiteboardToken", request(**changes), violations)


async def test_validate_only_explains_and_signs_nothing(server: Running) -> None:
    response = await server.stub.IssueWhiteboardToken(
        request(room=None, sdk={}, ttl=Duration(seconds=5), validate_only=True)
    )
    assert not response.HasField("issued_token")
    decision = response.decision
    assert (decision.caller, decision.grant, decision.key_id) == (
        "tester",
        "all-of-classroom",
        "ak-1",
    )
    assert (decision.ttl.seconds, decision.max_ttl.seconds) == (5, 10 * YEAR_S)
    assert [advisory.reason for advisory in decision.advisories] == ["SDK_TOKEN_SERVER_SIDE_ONLY"]
    never = await server.stub.IssueWhiteboardToken(request(non_expiring={}, validate_only=True))
    assert not never.decision.HasField("ttl")


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    ttl_ms=st.integers(1, 10 * YEAR_S * 1000),
    uuid=st.text("0123456789abcdefABCDEF_-", min_size=1, max_size=64),
    role=st.sampled_from([1, 2, 3]),
)
async def test_any_valid_room_token_round_trips(
    server: Running, ttl_ms: int, uuid: str, role: int
) -> None:
    ttl = Duration(seconds=ttl_ms // 1000, nanos=ttl_ms % 1000 * 1_000_000)
    issued = await issue(server, room={"room_uuid": uuid}, role=role, ttl=ttl)
    decoded = decode(issued.token)
    assert decoded.fields["uuid"] == uuid
    assert decoded.fields["role"] == str(role - 1)
    assert decoded.fields["expireAt"] == str(NOW_MS + ttl_ms)
    assert decoded.verifies(SECRET_KEY)
    assert issued.issue_time.ToMilliseconds() <= issued.renew_time.ToMilliseconds()
    assert issued.renew_time.ToMilliseconds() < issued.expire_time.ToMilliseconds()
