"""Every kind of token through both clients: asked for, signed, decoded, compared.

A kind without a method or without a case here fails.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from support.clients import SERVICES, Either, method_name
from support.decoding import decode
from support.keys import ACCESS_KEY, APP_ID, CERTIFICATE, NONCE, NOW_MS, SECRET_KEY
from token_authority_client import (
    ChatService,
    ConvoAiService,
    Decision,
    EducationService,
    FcdnService,
    FpaService,
    InvalidRequest,
    RtcPrivileges,
    RtcService,
    Rtm2Service,
    RtmLogin,
    RtmPermission,
    RtmService,
    StreamingService,
    SttService,
    prepare,
)
from token_authority_server.families import FAMILIES, TokenFamily

SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
NOW = datetime.fromtimestamp(NOW_MS // 1000, UTC)
AT = NOW_MS // 1000


@dataclass(frozen=True)
class Case:
    """What to ask for, and what the token then holds."""

    arguments: dict[str, Any]
    fields: dict[str, Any]
    """Of what the token decodes to."""
    life: timedelta = HOUR
    secrets: tuple[str, ...] = (CERTIFICATE,)
    """What the signature is checked with."""
    advisories: tuple[str, ...] = ()


def services(expire: int, *parts: dict[str, Any]) -> dict[str, Any]:
    return {"app_id": APP_ID, "issue_ts": AT, "expire": expire, "services": list(parts)}


def netless(prefix: str, **fields: str) -> dict[str, Any]:
    return {"prefix": f"NETLESS{prefix}_", "ak": ACCESS_KEY, "nonce": NONCE, **fields}


def part(number: int, rights: dict[int, int], **body: Any) -> dict[str, Any]:
    return {"type": number, "privileges": rights, **body}


READ_LOBBY = RtmPermission(access="read", resource_type="message_channel", resources=["lobby"])
PERMISSIONS = [
    RtmPermission(access="write", resource_type="user", resources=("a", "b")),
    RtmPermission(access="read", resource_type="user", resources=("ü",)),
    RtmPermission(access="write", resource_type="server_group", resources=("g",)),
    RtmPermission(access="read", resource_type="group_channel", resources=()),
    RtmPermission(access="read", resource_type="stream_channel", resources=("s",)),
    READ_LOBBY,
]
SDK = ("SDK_TOKEN_SERVER_SIDE_ONLY",)
APP = ("APP_TOKEN_SERVER_SIDE_ONLY",)
SHORT = ("SHORT_LIFE",)
SUBSCRIBER = ("SUBSCRIBER_NOT_ENFORCED",)
PUBLISHER = {1: 3600, 2: 3600, 3: 3600, 4: 3600}
SK = (SECRET_KEY,)

CASES: dict[str, list[Case]] = {
    "whiteboard": [
        Case(
            {"room": "r-1", "role": "writer"},
            netless("ROOM", uuid="r-1", role="1", expireAt=str(NOW_MS + 3_600_000)),
            secrets=SK,
        ),
        Case(
            {"task": "t_1", "role": "reader", "ttl": 1500 * timedelta(milliseconds=1)},
            netless("TASK", uuid="t_1", role="2", expireAt=str(NOW_MS + 1500)),
            timedelta(milliseconds=1500),
            SK,
        ),
        Case(
            {"sdk": True, "role": "admin"},
            netless("SDK", role="0", expireAt=str(NOW_MS + 3_600_000)),
            secrets=SK,
            advisories=SDK,
        ),
    ],
    "rtc": [
        Case(
            {"channel": "c", "uid": 7, "role": "publisher"},
            services(3600, part(1, PUBLISHER, channel_name="c", uid="7")),
        ),
        Case(
            {
                "any_channel": True,
                "user_account": "al",
                "privileges": RtcPrivileges(
                    join_channel=40 * SECOND,
                    publish_audio=30 * SECOND,
                    publish_video=20 * SECOND,
                    publish_data=10 * SECOND,
                ),
                "rtm": RtmLogin("bo", 5 * SECOND),
                "expire_time": NOW + 50 * SECOND,
            },
            services(
                50,
                part(1, {1: 40, 2: 30, 3: 20, 4: 10}, channel_name="*", uid="al"),
                part(2, {1: 5}, user_id="bo"),
            ),
            # Logging in to RTM ends first.
            5 * SECOND,
            advisories=("WILDCARD_CHANNEL", *SHORT),
        ),
        Case(
            {"channel_pattern": "lesson-*", "uid": 7, "role": "publisher"},
            services(3600, part(1, PUBLISHER, channel_name="lesson-*", uid="7")),
            advisories=("WILDCARD_PATTERN",),
        ),
        Case(
            {"channel": "c", "any_user": True, "role": "subscriber", "format": "006"},
            {"app_id": APP_ID, "ts": AT + 86400, "privileges": {1: AT + 3600}},
            secrets=(CERTIFICATE, "c", ""),
            advisories=(*SUBSCRIBER, "LEGACY_FORMAT_006", "ANY_USER"),
        ),
    ],
    "rtm": [
        Case({"user_id": "al ice"}, services(3600, part(2, {1: 3600}, user_id="al ice"))),
        Case(
            {"user_id": "al", "permissions": [], "ttl": DAY},
            services(86400, part(8, {1: 86400}, user_id="al", permissions={})),
            DAY,
            advisories=("RTM_PERMISSIONS_INACTIVE",),
        ),
        Case(
            {"user_id": "al", "permissions": PERMISSIONS, "expire_time": NOW + 9 * SECOND},
            services(
                9,
                part(
                    8,
                    {1: 9},
                    user_id="al",
                    permissions={
                        0: {0: ["lobby"]},
                        1: {0: ["s"]},
                        2: {0: []},
                        3: {1: ["g"]},
                        4: {0: ["ü"], 1: ["a", "b"]},
                    },
                ),
            ),
            9 * SECOND,
            advisories=("RTM_PERMISSIONS_INACTIVE", *SHORT),
        ),
        Case(
            {"user_id": "al", "format": "006"},
            {"app_id": APP_ID, "ts": AT + 86400, "privileges": {1000: AT + 3600}},
            secrets=(CERTIFICATE, "al", ""),
            advisories=("LEGACY_FORMAT_006",),
        ),
    ],
    "chat": [
        Case(
            {"user_id": "u-1", "ttl": SECOND},
            services(1, part(5, {1: 1}, user_id="u-1")),
            SECOND,
            advisories=SHORT,
        ),
        Case({"app": True}, services(3600, part(5, {2: 3600}, user_id="")), advisories=APP),
    ],
    "education": [
        Case(
            {"user_uuid": "al", "room_uuid": "r", "role": 0, "ttl": SECOND},
            services(
                1,
                part(2, {1: 1}, user_id="al"),
                part(5, {1: 1}, user_id=hashlib.md5(b"al").hexdigest()),  # noqa: S324  # Agora's
                part(7, {1: 1}, room_uuid="r", user_uuid="al", role=0),
            ),
            SECOND,
            advisories=SHORT,
        ),
        Case(
            {"user_uuid": "al"},
            services(3600, part(7, {2: 3600}, room_uuid="", user_uuid="al", role=-1)),
        ),
        Case(
            {"app": True},
            services(3600, part(7, {3: 3600}, room_uuid="", user_uuid="", role=-1)),
            advisories=APP,
        ),
    ],
    "access_token": [
        Case(
            {
                "services": [
                    SttService(),
                    ConvoAiService(),
                    Rtm2Service(user_id="al", permissions=[READ_LOBBY], login=70 * SECOND),
                    Rtm2Service(user_id="bo"),
                    EducationService(app=True),
                    EducationService(user_uuid="al", room_uuid="r", role=1, ttl=60 * SECOND),
                    FcdnService(any_channel=True, uid=7, publish=50 * SECOND, play=51 * SECOND),
                    ChatService(user_id="u-1", ttl=40 * SECOND),
                    FpaService(),
                    StreamingService(
                        channel="s",
                        any_user=True,
                        publish_mixed=30 * SECOND,
                        publish_raw=31 * SECOND,
                    ),
                    RtmService(user_id="al", login=20 * SECOND),
                    RtmService(user_id="bo"),
                    RtcService(
                        channel="c",
                        user_account="al",
                        join_channel=14 * SECOND,
                        publish_audio=13 * SECOND,
                        publish_video=12 * SECOND,
                        publish_data=11 * SECOND,
                    ),
                ],
                "ttl": 100 * SECOND,
            },
            services(
                100,
                part(1, {1: 14, 2: 13, 3: 12, 4: 11}, channel_name="c", uid="al"),
                part(2, {1: 20}, user_id="al"),
                part(2, {1: 100}, user_id="bo"),
                part(3, {1: 30, 2: 31}, channel_name="s", uid=""),
                part(4, {1: 0}),
                part(5, {1: 40}, user_id="u-1"),
                part(6, {1: 50, 2: 51}, channel_name="*", uid="7"),
                part(7, {3: 100}, room_uuid="", user_uuid="", role=-1),
                part(7, {1: 60}, room_uuid="r", user_uuid="al", role=1),
                part(8, {1: 70}, user_id="al", permissions={0: {0: ["lobby"]}}),
                part(8, {1: 100}, user_id="bo", permissions={}),
                part(9, {}),
                part(10, {}),
            ),
            14 * SECOND,
            advisories=(
                "RTM_PERMISSIONS_INACTIVE",
                *APP,
                "WILDCARD_CHANNEL",
                "ANY_USER",
                *SHORT,
            ),
        ),
        Case(
            {
                "services": [
                    RtcService(channel_pattern="1*a*2", user_account="al", join_channel=70 * SECOND)
                ]
            },
            services(70, part(1, {1: 70}, channel_name="1*a*2", uid="al")),
            70 * SECOND,
            advisories=(*SUBSCRIBER, "WILDCARD_PATTERN"),
        ),
        Case({"services": [FpaService()]}, services(86400, part(4, {1: 0})), DAY),
    ],
}


def method_of(kind: TokenFamily[Any, Any]) -> str:
    """Returns the name of the clients' method for a kind, from the RPC that has its request."""
    (rpc,) = [
        method.name
        for service in SERVICES
        for method in service.methods
        if method.input_type == kind.request_type.DESCRIPTOR
    ]
    return method_name(rpc)


every_case = pytest.mark.parametrize(
    ("kind", "case"),
    [
        pytest.param(kind, case, id=f"{kind.name}-{number}")
        for kind in FAMILIES
        for number, case in enumerate(CASES.get(kind.name, []))
    ],
)


@pytest.mark.parametrize("kind", FAMILIES, ids=lambda kind: kind.name)
def test_every_kind_has_cases(kind: TokenFamily[Any, Any]) -> None:
    assert CASES[kind.name]


def test_the_cases_have_every_service_and_every_permission() -> None:
    found = [found for case in CASES["access_token"] for found in case.fields["services"]]
    assert {service["type"] for service in found} == set(range(1, 11))
    assert {one.resource_type for one in PERMISSIONS} == {
        "message_channel",
        "stream_channel",
        "group_channel",
        "server_group",
        "user",
    }


@every_case
async def test_the_token_holds_what_was_asked_for(
    either: Either, kind: TokenFamily[Any, Any], case: Case
) -> None:
    issued = await getattr(either, method_of(kind))(**case.arguments, project="classroom")
    decoded = decode(issued.token)
    assert decoded.verifies(*case.secrets)
    assert {name: decoded.fields[name] for name in case.fields} == case.fields
    assert issued.expire_time - issued.issue_time == case.life
    assert tuple(advisory.reason for advisory in issued.advisories) == case.advisories
    assert issued.token not in repr(issued)


@every_case
async def test_validation_says_what_would_be_issued(
    either: Either, kind: TokenFamily[Any, Any], case: Case
) -> None:
    ask = getattr(either.validate_only, method_of(kind))
    decision: Decision = await ask(**case.arguments, project="classroom")
    assert decision.max_ttl == timedelta(milliseconds=kind.max_ttl_ms)
    assert decision.ttl is not None
    assert case.life <= decision.ttl <= decision.max_ttl
    assert tuple(advisory.reason for advisory in decision.advisories) == case.advisories


@every_case
async def test_a_prepared_request_brings_the_same(
    either: Either, kind: TokenFamily[Any, Any], case: Case
) -> None:
    request = getattr(prepare, method_of(kind))(**case.arguments, project="classroom")
    issued = await either.issue(request)
    (in_batch,) = await either.issue_many([request])
    for answer in (issued, in_batch):
        decoded = decode(answer.token)
        assert {name: decoded.fields[name] for name in case.fields} == case.fields
    assert (await either.validate_only.issue(request)).advisories == issued.advisories


# What the client leaves to the server: nothing is guessed.
REFUSED: list[tuple[str, dict[str, Any], set[str]]] = [
    ("issue_rtm_token", {"user_id": ""}, {"user_id"}),
    (
        "issue_rtm_token",
        {"user_id": "al", "permissions": [READ_LOBBY], "format": "006"},
        {"permissions"},
    ),
    (
        "issue_rtm_token",
        {"user_id": "al", "permissions": [READ_LOBBY] * 2},
        {"permissions.permissions[1]"},
    ),
    ("issue_chat_token", {}, {"subject"}),
    ("issue_education_token", {}, {"subject"}),
    ("issue_education_token", {"role": 1, "user_uuid": "al"}, {"room_user.room_uuid"}),
    ("issue_education_token", {"room_uuid": "r"}, {"room_user.user_uuid", "room_user.role"}),
    ("issue_education_token", {"room_uuid": "r", "user_uuid": "a", "role": -1}, {"room_user.role"}),
    ("issue_access_token", {"services": []}, {"services"}),
    ("issue_access_token", {"services": [FpaService()] * 33}, {"services"}),
    (
        "issue_access_token",
        {"services": [FpaService(), RtcService(uid=0)]},
        {"services[1].rtc.uid", "services[1].rtc.channel"},
    ),
]


@pytest.mark.parametrize(("method", "arguments", "fields"), REFUSED)
async def test_the_rules_are_the_servers(
    either: Either, method: str, arguments: dict[str, Any], fields: set[str]
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await getattr(either, method)(**arguments, project="classroom")
    assert {violation.field for violation in caught.value.violations} == fields
