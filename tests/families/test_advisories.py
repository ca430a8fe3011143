"""Advisories at issue, and the findings that inspection has for the same tokens."""

from collections.abc import AsyncGenerator
from typing import Any, Final, NamedTuple

import pytest

from families.cases import DAY, HOUR, reasons, seconds
from support.granting import caller, callers, everything
from support.serving import Running, running
from token_authority.v1 import (
    access_token_pb2,
    chat_pb2,
    education_pb2,
    inspection_pb2,
    issued_token_pb2,
    rtc_pb2,
    rtm_pb2,
    whiteboard_pb2,
)
from token_authority.v1.inspection_service_pb2_grpc import InspectionServiceStub
from token_authority_server.formats.token_warnings import TOKEN_WARNINGS, UNSET_TEXTS, TokenWarning
from token_authority_server.inspection import FindingReason

TYPES: Final[dict[str, Any]] = {
    "Rtc": rtc_pb2.IssueRtcTokenRequest,
    "Rtm": rtm_pb2.IssueRtmTokenRequest,
    "Chat": chat_pb2.IssueChatTokenRequest,
    "Education": education_pb2.IssueEducationTokenRequest,
    "Whiteboard": whiteboard_pb2.IssueWhiteboardTokenRequest,
    "Access": access_token_pb2.IssueAccessTokenRequest,
}


class Request(NamedTuple):
    """A request of one family."""

    family: str
    fields: dict[str, Any]

    def changed(self, **changes: Any) -> "Request":
        fields = {**self.fields, **changes}
        return Request(self.family, {k: value for k, value in fields.items() if value is not None})


RTC: Final = Request("Rtc", {"channel_name": "c", "uid": 7, "role": rtc_pb2.RTC_ROLE_PUBLISHER})
RTM: Final = Request("Rtm", {"user_id": "al"})
CHAT: Final = Request("Chat", {"user": {"user_id": "al"}})
EDUCATION: Final = Request("Education", {"user": {"user_uuid": "al"}})
ROOM_USER: Final = {"room_uuid": "r", "user_uuid": "al", "role": 1}
IN_ROOM: Final = Request("Education", {"room_user": ROOM_USER})
WHITEBOARD: Final = Request(
    "Whiteboard",
    {"room": {"room_uuid": "r-1"}, "role": whiteboard_pb2.WHITEBOARD_ROLE_READER},
)
PERMISSIONS: Final[dict[str, Any]] = {
    "permissions": [{"resource_type": 1, "access": 1, "resources": ["r"]}]
}


def composed(**services: dict[str, Any]) -> Request:
    parts = [{name: fields} for name, fields in services.items()]
    return Request("Access", {"services": parts, "ttl": seconds(HOUR)})


def privileges(join: int, video: int) -> dict[str, Any]:
    ttls = {"join_channel_ttl": seconds(join), "publish_video_ttl": seconds(video)}
    return {"role": None, "privileges": ttls}


JOIN: Final = {"join_channel_ttl": seconds(HOUR)}
FULL: Final = {
    **JOIN,
    "publish_audio_ttl": seconds(HOUR),
    "publish_video_ttl": seconds(HOUR),
    "publish_data_ttl": seconds(HOUR),
}
PLACE: Final = {"channel_name": "c", "uid": 7}
STREAM: Final = {"publish_mixed_ttl": seconds(HOUR)}
V006: Final = issued_token_pb2.TOKEN_FORMAT_V006
GIVEN: Final[dict[str, list[Request]]] = {
    "SUBSCRIBER_NOT_ENFORCED": [RTC.changed(role=rtc_pb2.RTC_ROLE_SUBSCRIBER)],
    "NO_JOIN_PRIVILEGE": [composed(rtc={**PLACE, "publish_data_ttl": seconds(HOUR)})],
    "JOIN_ENDS_BEFORE_PUBLISH": [RTC.changed(**privileges(70, 80))],
    "LEGACY_FORMAT_006": [RTC.changed(format=V006), RTM.changed(format=V006)],
    "APP_TOKEN_SERVER_SIDE_ONLY": [
        CHAT.changed(user=None, app={}),
        EDUCATION.changed(user=None, app={}),
        composed(chat={"app": {}}),
    ],
    "SDK_TOKEN_SERVER_SIDE_ONLY": [WHITEBOARD.changed(room=None, sdk={})],
    "WILDCARD_CHANNEL": [
        RTC.changed(channel_name=None, any_channel={}),
        composed(rtc={"any_channel": {}, "uid": 7, **FULL}),
        composed(streaming={"any_channel": {}, "uid": 7, **STREAM}),
        composed(fcdn={"any_channel": {}, "uid": 7, "publish_ttl": seconds(HOUR)}),
    ],
    "WILDCARD_PATTERN": [
        RTC.changed(channel_name=None, channel_pattern="lesson-*"),
        composed(rtc={"channel_pattern": "1*a*2", "user_account": "al", **FULL}),
    ],
    "ANY_USER": [
        RTC.changed(uid=None, any_user={}),
        RTC.changed(uid=None, any_user={}, format=V006),
        composed(streaming={"channel_name": "c", "any_user": {}, **STREAM}),
    ],
    "UID_ZERO_AS_TEXT": [
        RTC.changed(uid=None, user_account="0"),
        RTC.changed(uid=None, user_account="0", format=V006),
        RTC.changed(uid=None, user_account="0", channel_name=None, any_channel={}),
        RTC.changed(uid=None, user_account="0", channel_name=None, channel_pattern="a*"),
        composed(streaming={"channel_name": "c", "user_account": "0", **STREAM}),
    ],
    "UNSET_AS_TEXT": [
        request
        for text in UNSET_TEXTS
        for request in (
            RTC.changed(channel_name=text),
            RTC.changed(channel_name=text, format=V006),
            RTC.changed(uid=None, user_account=text),
            RTC.changed(rtm={"user_id": text}),
            RTM.changed(user_id=text),
            RTM.changed(user_id=text, format=V006),
            CHAT.changed(user={"user_id": text}),
            EDUCATION.changed(user={"user_uuid": text}),
            IN_ROOM.changed(room_user={**ROOM_USER, "room_uuid": text}),
            IN_ROOM.changed(room_user={**ROOM_USER, "user_uuid": text}),
            WHITEBOARD.changed(room={"room_uuid": text}),
            WHITEBOARD.changed(room=None, task={"task_uuid": text}),
            composed(fcdn={**PLACE, "channel_name": text, "play_ttl": seconds(HOUR)}),
        )
    ],
    "RTM_PERMISSIONS_INACTIVE": [
        RTM.changed(permissions=PERMISSIONS),
        RTM.changed(permissions={}),
        composed(rtm2={"user_id": "al", "permissions": PERMISSIONS}),
    ],
    "NON_EXPIRING": [WHITEBOARD.changed(non_expiring={})],
    "SHORT_LIFE": [
        RTC.changed(ttl=seconds(60)),
        RTC.changed(ttl=seconds(1), format=V006),
        RTC.changed(**privileges(60, 61)),
        RTC.changed(rtm={"user_id": "al", "ttl": seconds(60)}),
        RTM.changed(ttl=seconds(60)),
        CHAT.changed(ttl=seconds(60)),
        EDUCATION.changed(ttl=seconds(60)),
        composed(rtm={"user_id": "al", "login_ttl": seconds(60)}),
    ],
    "CHAT_USER_ID_UPPER_CASE": [CHAT.changed(user={"user_id": "John"})],
    "TTL_CLAMPED": [WHITEBOARD.changed(ttl=seconds(2 * DAY))],
}
"""Requests by the reason of an advisory that each gets."""
PLAIN: Final = [
    RTC,
    RTM,
    CHAT,
    EDUCATION,
    IN_ROOM,
    WHITEBOARD,
    WHITEBOARD.changed(ttl=seconds(1)),
    RTC.changed(ttl=seconds(61)),
    RTC.changed(uid=None, user_account="00"),
    RTC.changed(channel_name="0"),
    RTC.changed(channel_name="nulls"),
    RTC.changed(uid=None, user_account="nan"),
    RTM.changed(user_id="0"),
    CHAT.changed(user={"user_id": "0"}),
    composed(rtc={**PLACE, **FULL}),
]
"""Requests that hardly differ, and get no advisory."""


@pytest.mark.parametrize(
    ("request_", "names"),
    [
        (RTC.changed(channel_name="null"), ['channel is "null"']),
        (RTC.changed(uid=None, user_account="NaN"), ['user is "NaN"']),
        (WHITEBOARD.changed(room={"room_uuid": "None"}), ['room is "None"']),
        (
            RTC.changed(channel_name="None", uid=None, user_account="null"),
            ['channel is "None"', 'user is "null"'],
        ),
    ],
)
async def test_each_text_of_an_unset_variable_is_named(
    server: Running, request_: Request, names: list[str]
) -> None:
    issued = await issue(server, request_)
    found = [one.description for one in issued.advisories if one.reason == "UNSET_AS_TEXT"]
    assert len(found) == len(names)
    for description, name in zip(found, names, strict=True):
        assert f"The {name}, which is the text of an unset variable." in description


@pytest.fixture
async def clamping() -> AsyncGenerator[Running]:
    """Runs a server whose grant shortens lifetimes to a day."""
    grant = everything("classroom", max_ttl="1d", above_max_ttl="clamp")
    async with running(who=callers(caller(grant))) as started:
        yield started


async def issue(server: Running, request: Request) -> issued_token_pb2.IssuedToken:
    name = "AccessToken" if request.family == "Access" else f"{request.family}Token"
    message = TYPES[request.family](**request.fields)
    message.project = "classroom"
    issued: issued_token_pb2.IssuedToken = (
        await getattr(server.stub, f"Issue{name}")(message)
    ).issued_token
    return issued


async def findings(server: Running, token: str) -> dict[str, str]:
    """Returns the findings about a token: reason -> advice."""
    stub: Any = InspectionServiceStub(server.channel)
    answer = await stub.InspectToken(inspection_pb2.InspectTokenRequest(token=token))
    return {finding.reason: finding.advice for finding in answer.findings}


def test_the_table_has_each_reason_once_and_requests_for_each() -> None:
    listed = [warning.reason for warning in TOKEN_WARNINGS]
    assert len(set(listed)) == len(listed)
    assert GIVEN.keys() == set(listed)
    assert all(GIVEN.values())


@pytest.mark.parametrize("warning", TOKEN_WARNINGS, ids=lambda warning: warning.reason)
def test_inspection_has_the_reason_or_the_table_states_why_not(warning: TokenWarning) -> None:
    assert (warning.reason in {*FindingReason}) is not bool(warning.not_inspected)


@pytest.mark.parametrize("warning", TOKEN_WARNINGS, ids=lambda warning: warning.reason)
async def test_what_inspection_warns_of_is_an_advisory_at_issue(
    clamping: Running, warning: TokenWarning
) -> None:
    known = {one.reason for one in TOKEN_WARNINGS if not one.not_inspected}
    for request in GIVEN[warning.reason]:
        issued = await issue(clamping, request)
        (advisory,) = [one for one in issued.advisories if one.reason == warning.reason]
        assert advisory.description.endswith(f" {warning.advice}")
        found = await findings(clamping, issued.token)
        assert (warning.reason in found) is not bool(warning.not_inspected), request
        assert found.get(warning.reason, warning.advice).startswith(warning.advice)
        # Beside this one, both have the same warnings too. (A 006 token shows its names to those
        # who know them: SIGNATURE_UNCHECKED is not in the table.)
        assert known & {*found} == known & {*reasons(issued)}, request


@pytest.mark.parametrize("request_", PLAIN, ids=range(len(PLAIN)))
async def test_a_token_that_hardly_differs_has_neither(server: Running, request_: Request) -> None:
    issued = await issue(server, request_)
    assert reasons(issued) == []
    assert await findings(server, issued.token) == {}


@pytest.mark.parametrize(
    "request_", [rows[0] for rows in GIVEN.values() if rows[0].family == "Rtc"]
)
async def test_a_decision_has_the_same_advisories(server: Running, request_: Request) -> None:
    issued = await issue(server, request_)
    message = TYPES["Rtc"](**request_.fields, project="classroom", validate_only=True)
    decision = (await server.stub.IssueRtcToken(message)).decision
    assert [*decision.advisories] == [*issued.advisories]
