from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from token_authority_client import (
    ChatService,
    EducationService,
    FcdnService,
    InvalidRequest,
    RtcPrivileges,
    RtcService,
    Rtm2Service,
    RtmLogin,
    RtmPermission,
    RtmService,
    StreamingService,
    prepare,
)

HOUR = timedelta(hours=1)
NOW = datetime(2026, 1, 1, tzinfo=UTC)

RTC = {"channel": "lesson-1", "uid": 7, "role": "publisher"}
ROOM = {"room": "4a50cb3b6a0c4b5e", "role": "writer"}
IN_ROOM = {"user_uuid": "al", "room_uuid": "r", "role": 1}
LOBBY: dict[str, Any] = {
    "access": "read",
    "resource_type": "message_channel",
    "resources": ["lobby"],
}


def permissions(**changes: Any) -> list[Any]:
    """A permission that is right, and one that is changed."""
    return [RtmPermission(**LOBBY), RtmPermission(**{**LOBBY, **changes})]


def services(*others: Any) -> dict[str, Any]:
    return {"services": [RtmService(user_id="al"), *others]}


WRONG_PERMISSIONS: list[tuple[dict[str, Any], str]] = [
    ({"access": "publish"}, "permissions[1].access"),
    ({"access": 0}, "permissions[1].access"),
    ({"resource_type": "channel"}, "permissions[1].resource_type"),
    ({"resources": "lobby"}, "permissions[1].resources"),
    ({"resources": 7}, "permissions[1].resources"),
    ({"resources": ["a", 7]}, "permissions[1].resources[1]"),
    ({"resources": ["a", "b", "\ud800"]}, "permissions[1].resources[2]"),
]
# The method, its arguments, and the field that is named.
WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("rtc", {**RTC, "any_channel": True}, "channel"),
    ("rtc", {**RTC, "user_account": "al"}, "user"),
    ("rtc", {**RTC, "any_user": True}, "user"),
    ("rtc", {**RTC, "privileges": RtcPrivileges(join_channel=HOUR)}, "rights"),
    ("rtc", {**RTC, "ttl": HOUR, "expire_time": NOW + HOUR}, "expiration"),
    ("rtc", {**RTC, "role": "publsher"}, "role"),
    ("rtc", {**RTC, "role": 1}, "role"),
    ("rtc", {**RTC, "role": ["publisher"]}, "role"),
    ("rtc", {**RTC, "format": "008"}, "format"),
    ("rtc", {**RTC, "uid": "7"}, "uid"),
    ("rtc", {**RTC, "uid": 7.5}, "uid"),
    ("rtc", {**RTC, "uid": 2**64}, "uid"),
    ("rtc", {**RTC, "channel": 7}, "channel_name"),
    ("rtc", {**RTC, "channel": "\ud800"}, "channel_name"),
    ("rtc", {**RTC, "project": 7}, "project"),
    ("rtc", {**RTC, "ttl": 3600}, "ttl"),
    ("rtc", {**RTC, "expire_time": datetime(2030, 1, 1)}, "expire_time"),  # noqa: DTZ001
    ("rtc", {**RTC, "expire_time": 1_700_003_600}, "expire_time"),
    ("rtc", {**RTC, "expire_time": datetime.max.replace(tzinfo=timezone(-HOUR))}, "expire_time"),
    ("rtc", {**RTC, "rtm": RtmLogin("a", 5)}, "rtm.ttl"),  # type: ignore[arg-type]
    ("rtc", {**RTC, "rtm": RtmLogin(5)}, "rtm.user_id"),  # type: ignore[arg-type]
    ("rtc", {**RTC, "rtm": "alice"}, "rtm"),
    ("rtc", {**RTC, "role": None, "privileges": {"join_channel": HOUR}}, "privileges"),
    (
        "rtc",
        {**RTC, "role": None, "privileges": RtcPrivileges(join_channel=HOUR, publish_audio=5)},  # type: ignore[arg-type]
        "privileges.publish_audio_ttl",
    ),
    ("whiteboard", {**ROOM, "task": "t"}, "scope"),
    ("whiteboard", {**ROOM, "sdk": True}, "scope"),
    ("whiteboard", {**ROOM, "room": 7}, "room.room_uuid"),
    ("whiteboard", {**ROOM, "room": None, "task": 7}, "task.task_uuid"),
    ("whiteboard", {**ROOM, "role": "owner"}, "role"),
    ("whiteboard", {**ROOM, "ttl": HOUR, "non_expiring": True}, "expiration"),
    ("rtm", {"user_id": 7}, "user_id"),
    ("rtm", {"user_id": "al", "format": 6}, "format"),
    ("rtm", {"user_id": "al", "ttl": 60}, "ttl"),
    ("rtm", {"user_id": "al", "permissions": RtmPermission(**LOBBY)}, "permissions"),
    ("rtm", {"user_id": "al", "permissions": "read"}, "permissions"),
    ("rtm", {"user_id": "al", "permissions": ["read"]}, "permissions.permissions[0]"),
    *[
        ("rtm", {"user_id": "al", "permissions": permissions(**changes)}, f"permissions.{field}")
        for changes, field in WRONG_PERMISSIONS
    ],
    ("rtc", {**RTC, "uid": None, "any_user": "no"}, "any_user"),
    ("rtc", {**RTC, "channel": None, "any_channel": 1}, "any_channel"),
    ("whiteboard", {**ROOM, "room": None, "sdk": "no"}, "sdk"),
    ("whiteboard", {**ROOM, "non_expiring": "no"}, "non_expiring"),
    ("chat", {"app": "no"}, "app"),
    ("education", {"app": "no"}, "app"),
    ("access", services(ChatService(app="no")), "services[1].chat.app"),  # type: ignore[arg-type]
    ("chat", {"user_id": 7}, "user.user_id"),
    ("chat", {"user_id": "u", "app": True}, "subject"),
    ("chat", {"app": True, "ttl": HOUR, "expire_time": NOW}, "expiration"),
    ("education", {**IN_ROOM, "role": "teacher"}, "room_user.role"),
    ("education", {**IN_ROOM, "role": 2**31}, "room_user.role"),
    ("education", {**IN_ROOM, "room_uuid": 7}, "room_user.room_uuid"),
    ("education", {**IN_ROOM, "user_uuid": 7}, "room_user.user_uuid"),
    ("education", {**IN_ROOM, "app": True}, "subject"),
    ("education", {"user_uuid": "al", "app": True}, "subject"),
    ("education", {"room_uuid": "r", "app": True}, "subject"),
    ("education", {"user_uuid": 7}, "user.user_uuid"),
    ("access", {"services": RtmService(user_id="al")}, "services"),
    ("access", {"services": "rtm"}, "services"),
    ("access", services("rtm"), "services[1]"),
    ("access", services(RtmService), "services[1]"),
    ("access", services(RtmService(user_id=7)), "services[1].rtm.user_id"),  # type: ignore[arg-type]
    ("access", services(RtmService(user_id="a", login=5)), "services[1].rtm.login_ttl"),  # type: ignore[arg-type]
    ("access", services(RtcService(uid="7")), "services[1].rtc.uid"),  # type: ignore[arg-type]
    ("access", services(RtcService(uid=7, any_user=True)), "services[1].rtc.user"),
    ("access", services(RtcService(channel="c", any_channel=True)), "services[1].rtc.channel"),
    ("access", services(RtcService(join_channel=5)), "services[1].rtc.join_channel_ttl"),  # type: ignore[arg-type]
    (
        "access",
        services(StreamingService(publish_raw="1h")),  # type: ignore[arg-type]
        "services[1].streaming.publish_raw_ttl",
    ),
    ("access", services(FcdnService(user_account=7)), "services[1].fcdn.user_account"),  # type: ignore[arg-type]
    ("access", services(ChatService(user_id="u", app=True)), "services[1].chat.subject"),
    ("access", services(ChatService(app=True, ttl=5)), "services[1].chat.ttl"),  # type: ignore[arg-type]
    (
        "access",
        services(EducationService(user_uuid="al", room_uuid="r", role="1")),  # type: ignore[arg-type]
        "services[1].education.room_user.role",
    ),
    (
        "access",
        services(Rtm2Service(user_id="al", permissions=permissions(access="all"))),
        "services[1].rtm2.permissions.permissions[1].access",
    ),
    ("access", {**services(), "ttl": "1h"}, "ttl"),
]


@pytest.mark.parametrize(("kind", "arguments", "field"), WRONG)
def test_what_a_message_cannot_say_names_its_field(
    kind: str, arguments: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        getattr(prepare, f"issue_{kind}_token")(**arguments)
    error = caught.value
    assert [violation.field for violation in error.violations] == [field]
    assert error.reason == "INVALID_REQUEST"
    assert error.metadata == {"fields": field}
    assert str(error) == f"invalid request: {error.advice}"


def test_a_service_that_is_none_is_told_which_there_are() -> None:
    with pytest.raises(InvalidRequest, match=r"RtcService, RtmService, .*, SttService"):
        prepare.issue_access_token(services=[{"rtm": "al"}])  # type: ignore[list-item]


def test_lists_may_be_anything_that_can_be_gone_through() -> None:
    names = (name for name in ["a", "b"])
    asked = [RtmPermission(access="read", resource_type="user", resources=names)]  # type: ignore[arg-type]
    message: Any = prepare.issue_rtm_token(user_id="al", permissions=iter(asked)).message
    (permission,) = message.permissions.permissions
    assert list(permission.resources) == ["a", "b"]


def test_a_request_does_not_show_what_is_in_it() -> None:
    request = prepare.issue_chat_token(user_id="a-user")
    assert repr(request) == "TokenRequest(method='IssueChatToken')"
