import string
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
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
from token_authority.v1.chat_pb2 import IssueChatTokenRequest
from token_authority.v1.issued_token_pb2 import TOKEN_FORMAT_V007

LEGAL = string.ascii_letters + string.digits + "-_."
LONGEST = LEGAL[1:]
APP: dict[str, Any] = {"user": None, "app": {}}


def request(**changes: Any) -> Any:
    return filled(IssueChatTokenRequest, {"user": {"user_id": "8b1f-uuid"}}, changes)


async def issue(server: Running, **changes: Any) -> issued_token_pb2.IssuedToken:
    response = await server.stub.IssueChatToken(request(**changes))
    issued: issued_token_pb2.IssuedToken = response.issued_token
    return issued


@pytest.mark.parametrize(
    ("subject", "privilege", "user_id", "advisories"),
    [
        ({}, 1, "8b1f-uuid", []),
        ({"user": {"user_id": "john.doe"}}, 1, "john.doe", []),
        ({"user": {"user_id": "ak24"}}, 1, "ak24", []),
        ({"user": {"user_id": LONGEST}}, 1, LONGEST, ["CHAT_USER_ID_UPPER_CASE"]),
        (APP, 2, "", ["APP_TOKEN_SERVER_SIDE_ONLY"]),
    ],
    ids=["user", "with a period", "of letters and digits", "longest user", "app"],
)
@pytest.mark.parametrize(
    ("end", "life"),
    [
        ({}, HOUR),
        ({"ttl": seconds(1)}, 1),
        ({"ttl": seconds(DAY)}, DAY),
        ({"expire_time": Timestamp(seconds=NOW + 1, nanos=123_000_000)}, 1),
        ({"expire_time": Timestamp(seconds=NOW + DAY, nanos=999_999_999)}, DAY),
    ],
)
async def test_every_subject_and_end(
    server: Running,
    subject: dict[str, Any],
    privilege: int,
    user_id: str,
    advisories: list[str],
    end: dict[str, Any],
    life: int,
) -> None:
    issued = await issue(server, **subject, **end)
    decoded = decode(issued.token)
    assert decoded.fields == {
        "app_id": APP_ID,
        "issue_ts": NOW,
        "expire": life,
        "salt": 1,
        "services": [{"type": 5, "privileges": {privilege: life}, "user_id": user_id}],
    }
    assert decoded.verifies(CERTIFICATE)
    assert not decoded.verifies(OLD_CERTIFICATE)
    assert issued.format == TOKEN_FORMAT_V007
    assert issued.expire_time == Timestamp(seconds=NOW + life)
    assert reasons(issued) == [*advisories, *of_life(life)]


BROKEN: list[Broken] = [
    ("no subject", {"user": None}, [("subject", "REQUIRED")]),
    ("user unnamed", {"user": {}}, [("user.user_id", "STRING_MIN_LEN")]),
    ("user of 65", {"user": {"user_id": "u" * 65}}, [("user.user_id", "STRING_MAX_LEN")]),
    ("user with a space", {"user": {"user_id": "al ice"}}, [("user.user_id", "STRING_PATTERN")]),
    ("user in lines", {"user": {"user_id": "a\n"}}, [("user.user_id", "STRING_PATTERN")]),
    *PROJECT_BROKEN,
    *END_BROKEN,
    (
        "an app's ttl of parts of seconds",
        {**APP, "ttl": Duration(seconds=1, nanos=1)},
        [("ttl", "NOT_WHOLE_SECONDS")],
    ),
    (
        "several fields at once",
        {"user": {"user_id": "*"}, "ttl": seconds(0)},
        [("ttl", "DURATION_GTE_LTE"), ("user.user_id", "STRING_PATTERN")],
    ),
]


@each(BROKEN)
async def test_a_broken_rule_is_named(
    server: Running, changes: dict[str, Any], violations: Violations
) -> None:
    await check_named(server, "IssueChatToken", request(**changes), violations)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(user=st.text(LEGAL, min_size=1, max_size=64), life=st.integers(1, DAY))
async def test_any_valid_request_round_trips(server: Running, user: str, life: int) -> None:
    issued = await issue(server, user={"user_id": user}, ttl=seconds(life))
    decoded = decode(issued.token)
    assert decoded.fields["services"] == [{"type": 5, "privileges": {1: life}, "user_id": user}]
    assert decoded.verifies(CERTIFICATE)
