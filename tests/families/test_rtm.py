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
from token_authority.v1.issued_token_pb2 import TOKEN_FORMAT_V006, TOKEN_FORMAT_V007
from token_authority.v1.rtm_pb2 import (
    RTM_ACCESS_READ,
    RTM_ACCESS_WRITE,
    RTM_RESOURCE_TYPE_GROUP_CHANNEL,
    RTM_RESOURCE_TYPE_MESSAGE_CHANNEL,
    RTM_RESOURCE_TYPE_SERVER_GROUP,
    RTM_RESOURCE_TYPE_STREAM_CHANNEL,
    RTM_RESOURCE_TYPE_USER,
    IssueRtmTokenRequest,
)

PRINTABLE = [chr(code) for code in range(0x20, 0x7F) if chr(code) != "*"]
TYPES: dict[int, int] = {
    RTM_RESOURCE_TYPE_MESSAGE_CHANNEL: 0,
    RTM_RESOURCE_TYPE_STREAM_CHANNEL: 1,
    RTM_RESOURCE_TYPE_GROUP_CHANNEL: 2,
    RTM_RESOURCE_TYPE_SERVER_GROUP: 3,
    RTM_RESOURCE_TYPE_USER: 4,
}
ACCESSES: dict[int, int] = {RTM_ACCESS_READ: 0, RTM_ACCESS_WRITE: 1}


def request(**changes: Any) -> Any:
    return filled(IssueRtmTokenRequest, {"user_id": "alice"}, changes)


async def issue(server: Running, **changes: Any) -> issued_token_pb2.IssuedToken:
    response = await server.stub.IssueRtmToken(request(**changes))
    issued: issued_token_pb2.IssuedToken = response.issued_token
    return issued


def permissions(*rows: tuple[int, int, list[str]]) -> dict[str, Any]:
    return {
        "permissions": [
            {"resource_type": resource_type, "access": access, "resources": resources}
            for resource_type, access, resources in rows
        ]
    }


USERS = ["a", "0", "al ice \"'+/\\`~", "".join(PRINTABLE[1:65])]
ENDS: list[tuple[dict[str, Any], int]] = [
    ({}, HOUR),
    ({"ttl": seconds(1)}, 1),
    ({"ttl": seconds(DAY)}, DAY),
    ({"expire_time": Timestamp(seconds=NOW + 10, nanos=999_999_999)}, 10),
    ({"expire_time": Timestamp(seconds=NOW + DAY, nanos=999_999_999)}, DAY),
]


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize(("end", "life"), ENDS)
async def test_a_login_in_007(server: Running, user: str, end: dict[str, Any], life: int) -> None:
    issued = await issue(server, user_id=user, **end)
    decoded = decode(issued.token)
    assert decoded.fields == {
        "app_id": APP_ID,
        "issue_ts": NOW,
        "expire": life,
        "salt": 1,
        "services": [{"type": 2, "privileges": {1: life}, "user_id": user}],
    }
    assert decoded.verifies(CERTIFICATE)
    assert not decoded.verifies(OLD_CERTIFICATE)
    assert issued.format == TOKEN_FORMAT_V007
    assert issued.expire_time == Timestamp(seconds=NOW + life)
    assert reasons(issued) == of_life(life)


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize(("end", "life"), ENDS)
async def test_a_login_in_006(server: Running, user: str, end: dict[str, Any], life: int) -> None:
    issued = await issue(server, user_id=user, format=TOKEN_FORMAT_V006, **end)
    decoded = decode(issued.token)
    # The user stands where RTC has its channel, and there is no uid.
    assert decoded.verifies(CERTIFICATE, user, "")
    assert not decoded.verifies(CERTIFICATE, "", user)
    assert {name: decoded.fields[name] for name in ("app_id", "salt", "ts", "privileges")} == {
        "app_id": APP_ID,
        "salt": 1,
        "ts": NOW + DAY,
        "privileges": {1000: NOW + life},
    }
    assert issued.format == TOKEN_FORMAT_V006
    assert issued.expire_time == Timestamp(seconds=NOW + life)
    assert reasons(issued) == ["LEGACY_FORMAT_006", *of_life(life)]


@pytest.mark.parametrize(
    ("given", "written"),
    [
        (permissions(), {}),
        *[
            (permissions((resource_type, access, ["r"])), {TYPES[resource_type]: {digit: ["r"]}})
            for resource_type in TYPES
            for access, digit in ACCESSES.items()
        ],
        (permissions((RTM_RESOURCE_TYPE_USER, RTM_ACCESS_READ, [])), {4: {0: []}}),
        (
            permissions(
                (RTM_RESOURCE_TYPE_USER, RTM_ACCESS_WRITE, ["b", "a", "b"]),
                (RTM_RESOURCE_TYPE_MESSAGE_CHANNEL, RTM_ACCESS_WRITE, ["*"]),
                (RTM_RESOURCE_TYPE_USER, RTM_ACCESS_READ, ["é漢🎈"]),
            ),
            {0: {1: ["*"]}, 4: {0: ["é漢🎈"], 1: ["b", "a", "b"]}},
        ),
        (
            permissions((RTM_RESOURCE_TYPE_STREAM_CHANNEL, RTM_ACCESS_READ, ["r" * 255] * 60)),
            {1: {0: ["r" * 255] * 60}},
        ),
        (
            permissions((RTM_RESOURCE_TYPE_STREAM_CHANNEL, RTM_ACCESS_READ, ["r"] * 100)),
            {1: {0: ["r"] * 100}},
        ),
    ],
)
async def test_permissions_make_it_service_8_alone(
    server: Running, given: dict[str, Any], written: dict[int, dict[int, list[str]]]
) -> None:
    issued = await issue(server, permissions=given, ttl=seconds(50), format=TOKEN_FORMAT_V007)
    decoded = decode(issued.token)
    (service,) = decoded.fields["services"]
    assert service == {
        "type": 8,
        "privileges": {1: 50},
        "user_id": "alice",
        "permissions": written,
    }
    # Both levels ascend, whatever the order in the request.
    assert list(service["permissions"]) == sorted(written)
    assert decoded.fields["expire"] == 50
    assert decoded.verifies(CERTIFICATE)
    assert issued.expire_time.seconds == NOW + 50


READ, WRITE = RTM_ACCESS_READ, RTM_ACCESS_WRITE
CHANNEL, USER = RTM_RESOURCE_TYPE_MESSAGE_CHANNEL, RTM_RESOURCE_TYPE_USER


def permission_broken(name: str, path: str) -> list[Broken]:
    """Every broken rule on a field with RTM permissions; `path` is where it is in the request."""
    path = f"{path}.permissions"
    rows: list[tuple[str, dict[str, Any], Violations]] = [
        (
            "type unset",
            permissions((0, READ, [])),
            [(f"{path}[0].resource_type", "REQUIRED")],
        ),
        (
            "type unknown",
            permissions((USER, READ, []), (6, READ, [])),
            [(f"{path}[1].resource_type", "ENUM_DEFINED_ONLY")],
        ),
        ("access unset", permissions((USER, 0, [])), [(f"{path}[0].access", "REQUIRED")]),
        (
            "access unknown",
            permissions((USER, 3, [])),
            [(f"{path}[0].access", "ENUM_DEFINED_ONLY")],
        ),
        (
            "resource unnamed",
            permissions((USER, READ, ["a", ""])),
            [(f"{path}[0].resources[1]", "STRING_MIN_BYTES")],
        ),
        (
            "resource of 256 bytes",
            permissions((USER, READ, ["é" * 128])),
            [(f"{path}[0].resources[0]", "STRING_MAX_BYTES")],
        ),
        (
            "101 resources",
            permissions((USER, READ, ["r"] * 101)),
            [(f"{path}[0].resources", "REPEATED_MAX_ITEMS")],
        ),
        (
            "11 permissions",
            permissions(*[(USER, READ, [])] * 11),
            [(path, "REPEATED_MAX_ITEMS")],
        ),
        (
            "a pair repeated",
            permissions(
                (USER, READ, ["a"]), (CHANNEL, READ, []), (USER, WRITE, []), (USER, READ, ["b"])
            ),
            [(f"{path}[3]", "PERMISSION_REPEATED")],
        ),
        (
            "pairs repeated",
            permissions((USER, READ, ["a"]), (USER, READ, ["b"]), (USER, READ, ["a"])),
            [(f"{path}[1]", "PERMISSION_REPEATED"), (f"{path}[2]", "PERMISSION_REPEATED")],
        ),
    ]
    return [(f"{name}: {what}", changes, violations) for what, changes, violations in rows]


BROKEN: list[Broken] = [
    ("no user", {"user_id": None}, [("user_id", "STRING_MIN_LEN")]),
    ("user of 65", {"user_id": "u" * 65}, [("user_id", "STRING_MAX_LEN")]),
    ("user not ASCII", {"user_id": "é"}, [("user_id", "STRING_PATTERN")]),
    # Whoever checks the token could take it for a wildcard.
    ("user a wildcard", {"user_id": "*"}, [("user_id", "STRING_PATTERN")]),
    ("user a pattern", {"user_id": "a*"}, [("user_id", "STRING_PATTERN")]),
    ("user with a space first", {"user_id": " a"}, [("user_id", "STRING_PATTERN")]),
    ("user in lines", {"user_id": "a\n"}, [("user_id", "STRING_PATTERN")]),
    ("user with DEL", {"user_id": "a\x7f"}, [("user_id", "STRING_PATTERN")]),
    *[
        (name, {"permissions": changes}, violations)
        for name, changes, violations in permission_broken("permissions", "permissions")
    ],
    (
        "permissions in 006",
        {"permissions": permissions(), "format": TOKEN_FORMAT_V006},
        [("permissions", "PERMISSIONS_NEED_V007")],
    ),
    ("format netless", {"format": 3}, [("format", "ENUM_NOT_IN")]),
    ("format unknown", {"format": 4}, [("format", "ENUM_DEFINED_ONLY")]),
    *PROJECT_BROKEN,
    *END_BROKEN,
    (
        "several fields at once",
        {"user_id": "", "format": 3, "ttl": seconds(0), "project": "-"},
        [
            ("format", "ENUM_NOT_IN"),
            ("project", "STRING_PATTERN"),
            ("ttl", "DURATION_GTE_LTE"),
            ("user_id", "STRING_MIN_LEN"),
        ],
    ),
    (
        "several rules across fields at once",
        {
            "permissions": permissions((USER, READ, []), (USER, READ, [])),
            "format": TOKEN_FORMAT_V006,
            "expire_time": Timestamp(seconds=NOW),
        },
        [
            ("expire_time", "EXPIRE_TIME_TOO_EARLY"),
            ("permissions", "PERMISSIONS_NEED_V007"),
            ("permissions.permissions[1]", "PERMISSION_REPEATED"),
        ],
    ),
]


@each(BROKEN)
async def test_a_broken_rule_is_named(
    server: Running, changes: dict[str, Any], violations: Violations
) -> None:
    await check_named(server, "IssueRtmToken", request(**changes), violations)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    user=st.text(PRINTABLE, min_size=1, max_size=64).filter(lambda text: text[0] != " "),
    life=st.integers(1, DAY),
    table=st.none()
    | st.dictionaries(
        st.tuples(st.sampled_from([*TYPES]), st.sampled_from([*ACCESSES])),
        st.lists(st.text(min_size=1, max_size=60), max_size=4),
    ),
)
async def test_any_valid_request_round_trips(
    server: Running, user: str, life: int, table: dict[tuple[int, int], list[str]] | None
) -> None:
    changes: dict[str, Any] = {}
    if table is not None:
        changes["permissions"] = permissions(*[(*pair, names) for pair, names in table.items()])
    issued = await issue(server, user_id=user, ttl=seconds(life), **changes)
    decoded = decode(issued.token)
    (service,) = decoded.fields["services"]
    assert decoded.verifies(CERTIFICATE)
    assert (service["user_id"], service["privileges"]) == (user, {1: life})
    if table is not None:
        read = {
            (resource_type, access): names
            for resource_type, by_access in service["permissions"].items()
            for access, names in by_access.items()
        }
        assert read == {
            (TYPES[resource_type], ACCESSES[access]): names
            for (resource_type, access), names in table.items()
        }
