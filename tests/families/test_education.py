import hashlib
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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
    of_life,
    reasons,
    seconds,
)
from support.decoding import decode
from support.keys import APP_ID, CERTIFICATE, OLD_CERTIFICATE
from support.serving import Running
from token_authority.v1 import issued_token_pb2
from token_authority.v1.education_pb2 import IssueEducationTokenRequest
from token_authority.v1.issued_token_pb2 import TOKEN_FORMAT_V007

PRINTABLE = [chr(code) for code in range(0x20, 0x7F) if chr(code) != "*"]
NAME = "".join(PRINTABLE[1:65])
ROOM_USER = {"room_uuid": "room-1", "user_uuid": "user-1", "role": 2}


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def request(**changes: Any) -> Any:
    return filled(IssueEducationTokenRequest, {"room_user": ROOM_USER}, changes)


async def issue(server: Running, **changes: Any) -> issued_token_pb2.IssuedToken:
    response = await server.stub.IssueEducationToken(request(**changes))
    issued: issued_token_pb2.IssuedToken = response.issued_token
    return issued


def room_services(room: str, user: str, role: int, life: int) -> list[dict[str, Any]]:
    """What Agora's builders put into a room user's token, in the order of the types."""
    return [
        {"type": 2, "privileges": {1: life}, "user_id": user},
        {"type": 5, "privileges": {1: life}, "user_id": md5(user)},
        {
            "type": 7,
            "privileges": {1: life},
            "room_uuid": room,
            "user_uuid": user,
            "role": role,
        },
    ]


ENDS: list[tuple[dict[str, Any], int]] = [
    ({}, HOUR),
    ({"ttl": seconds(1)}, 1),
    ({"ttl": seconds(DAY)}, DAY),
    ({"expire_time": Timestamp(seconds=NOW + 1, nanos=123_000_000)}, 1),
    ({"expire_time": Timestamp(seconds=NOW + DAY, nanos=999_999_999)}, DAY),
]


# Agora's JavaScript turns role 0 into -1; its Java drops the leading zeros of user23's MD5.
@pytest.mark.parametrize("role", [0, 1, 2, 32767])
@pytest.mark.parametrize("user", ["user-1", "user23", NAME])
@pytest.mark.parametrize(("end", "life"), ENDS)
async def test_a_room_user_logs_in_to_rtm_and_chat_too(
    server: Running, role: int, user: str, end: dict[str, Any], life: int
) -> None:
    room_user = {"room_uuid": NAME, "user_uuid": user, "role": role}
    issued = await issue(server, room_user=room_user, **end)
    decoded = decode(issued.token)
    assert decoded.fields == {
        "app_id": APP_ID,
        "issue_ts": NOW,
        "expire": life,
        "salt": 1,
        "services": room_services(NAME, user, role, life),
    }
    assert decoded.verifies(CERTIFICATE)
    assert not decoded.verifies(OLD_CERTIFICATE)
    assert issued.format == TOKEN_FORMAT_V007
    assert issued.expire_time == Timestamp(seconds=NOW + life)
    assert reasons(issued) == of_life(life)


@pytest.mark.parametrize(
    ("subject", "privilege", "user", "advisories"),
    [
        ({"user": {"user_uuid": NAME}}, 2, NAME, []),
        ({"app": {}}, 3, "", ["APP_TOKEN_SERVER_SIDE_ONLY"]),
    ],
    ids=["user", "app"],
)
@pytest.mark.parametrize(("end", "life"), ENDS)
async def test_outside_a_room_there_is_one_service(
    server: Running,
    subject: dict[str, Any],
    privilege: int,
    user: str,
    advisories: list[str],
    end: dict[str, Any],
    life: int,
) -> None:
    issued = await issue(server, room_user=None, **subject, **end)
    decoded = decode(issued.token)
    assert decoded.fields["services"] == [
        {
            "type": 7,
            "privileges": {privilege: life},
            "room_uuid": "",
            "user_uuid": user,
            "role": -1,
        }
    ]
    assert decoded.fields["expire"] == life
    assert decoded.verifies(CERTIFICATE)
    assert issued.expire_time == Timestamp(seconds=NOW + life)
    assert reasons(issued) == [*advisories, *of_life(life)]


def name_broken(path: str, base: dict[str, Any]) -> list[Broken]:
    """Every broken rule on a name in a subject; `path` is subject and field."""
    subject, _, field = path.partition(".")
    rows = [
        ("unset", "", "STRING_MIN_LEN"),
        ("of 65", "n" * 65, "STRING_MAX_LEN"),
        ("not ASCII", "é", "STRING_PATTERN"),
        ("a wildcard", "*", "STRING_PATTERN"),
        ("a pattern", "a*", "STRING_PATTERN"),
        ("with a space first", " a", "STRING_PATTERN"),
        ("in lines", "a\n", "STRING_PATTERN"),
    ]
    return [
        (f"{path} {what}", {subject: {**base, field: value}}, [(path, reason)])
        for what, value, reason in rows
    ]


SUBJECT_BROKEN: list[Broken] = [
    ("no subject", {}, [("subject", "REQUIRED")]),
    *name_broken("room_user.room_uuid", ROOM_USER),
    *name_broken("room_user.user_uuid", ROOM_USER),
    *name_broken("user.user_uuid", {}),
    (
        "role unset",
        {"room_user": {"room_uuid": "r", "user_uuid": "u"}},
        [("room_user.role", "REQUIRED")],
    ),
    *[
        (
            f"role {role}",
            {"room_user": {**ROOM_USER, "role": role}},
            [("room_user.role", "INT32_GTE_LTE")],
        )
        for role in (-1, 32768, 2**31 - 1, -(2**31))
    ],
]
"""Every broken rule on the oneof `subject`, for requests that have nothing else of it."""

BROKEN: list[Broken] = [
    *[
        (name, {"room_user": None, **changes}, violations)
        for name, changes, violations in SUBJECT_BROKEN
    ],
    *PROJECT_BROKEN,
    *END_BROKEN,
    (
        "several fields at once",
        {"room_user": {}, "ttl": seconds(0)},
        [
            ("room_user.role", "REQUIRED"),
            ("room_user.room_uuid", "STRING_MIN_LEN"),
            ("room_user.user_uuid", "STRING_MIN_LEN"),
            ("ttl", "DURATION_GTE_LTE"),
        ],
    ),
]


@each(BROKEN)
async def test_a_broken_rule_is_named(
    server: Running, changes: dict[str, Any], violations: Violations
) -> None:
    await check_named(server, "IssueEducationToken", request(**changes), violations)


NAMES = st.text(PRINTABLE, min_size=1, max_size=64).filter(lambda text: text[0] != " ")


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(room=NAMES, user=NAMES, role=st.integers(0, 32767), life=st.integers(1, DAY))
async def test_any_valid_room_token_round_trips(
    server: Running, room: str, user: str, role: int, life: int
) -> None:
    room_user = {"room_uuid": room, "user_uuid": user, "role": role}
    issued = await issue(server, room_user=room_user, ttl=seconds(life))
    decoded = decode(issued.token)
    assert decoded.fields["services"] == room_services(room, user, role, life)
    assert decoded.verifies(CERTIFICATE)
