"""Every 007 builder of Agora's libraries, as a call of our client.

Each row has the method, its arguments, and the services of the builder's token in the order of
their types.
"""

from datetime import timedelta
from typing import Any, NamedTuple

from token_authority_client import (
    ChatService,
    ConvoAiService,
    EducationService,
    FcdnService,
    FpaService,
    RtcPrivileges,
    RtcService,
    Rtm2Service,
    RtmLogin,
    RtmPermission,
    RtmService,
    StreamingService,
    SttService,
)


class Builder(NamedTuple):
    """One of Agora's builders."""

    name: str
    method: str
    arguments: dict[str, Any]
    services: list[dict[str, Any]]
    expire: int = 3600


def seconds(count: int) -> timedelta:
    """Returns a lifetime of whole seconds."""
    return timedelta(seconds=count)


HOUR = {"ttl": seconds(3600)}
UID: dict[str, Any] = {"channel": "lesson-1", "uid": 2882341273}
ACCOUNT: dict[str, Any] = {"channel": "lesson-1", "user_account": "al ice"}
JOIN = RtcPrivileges(join_channel=seconds(600))
ALL = RtcPrivileges(
    join_channel=seconds(600),
    publish_audio=seconds(600),
    publish_video=seconds(600),
    publish_data=seconds(600),
)
OWN = RtcPrivileges(
    join_channel=seconds(100),
    publish_audio=seconds(200),
    publish_video=seconds(300),
    publish_data=seconds(400),
)
OWN_RIGHTS = {1: 100, 2: 200, 3: 300, 4: 400}


def rtc(user: str, rights: dict[int, int]) -> dict[str, Any]:
    """Returns service 1 (RTC)."""
    return {"type": 1, "privileges": rights, "channel_name": "lesson-1", "uid": user}


def rtm(user: str, life: int) -> dict[str, Any]:
    """Returns service 2 (RTM)."""
    return {"type": 2, "privileges": {1: life}, "user_id": user}


def chat(user: str, privilege: int) -> dict[str, Any]:
    """Returns service 5 (Chat)."""
    return {"type": 5, "privileges": {privilege: 3600}, "user_id": user}


def education(room: str, user: str, role: int, privilege: int) -> dict[str, Any]:
    """Returns service 7 (education)."""
    return {
        "type": 7,
        "privileges": {privilege: 3600},
        "room_uuid": room,
        "user_uuid": user,
        "role": role,
    }


def agent(name: str, service: Any, number: int) -> list[Builder]:
    """Returns the builders of one agent service: RTC, RTM and the service."""
    login = RtmService(user_id="rtm-1", login=seconds(500))
    publisher = RtcService(
        channel="lesson-1",
        user_account="al ice",
        join_channel=seconds(100),
        publish_audio=seconds(200),
        publish_video=seconds(300),
        publish_data=seconds(400),
    )
    subscriber = RtcService(channel="lesson-1", user_account="al ice", join_channel=seconds(100))
    return [
        Builder(
            f"{name}, {role}",
            "issue_access_token",
            {"services": [part, login, service], **HOUR},
            [rtc("al ice", rights), rtm("rtm-1", 500), {"type": number, "privileges": {}}],
        )
        for role, part, rights in [
            ("role 1", publisher, OWN_RIGHTS),
            ("role 2", subscriber, {1: 100}),
        ]
    ]


BUILDERS: list[Builder] = [
    *[
        Builder(name, "issue_rtc_token", {**arguments, **HOUR}, services)
        for name, arguments, services in [
            (
                "rtc uid, role 1",
                {**UID, "privileges": ALL},
                [rtc("2882341273", dict.fromkeys((1, 2, 3, 4), 600))],
            ),
            ("rtc uid, role 2", {**UID, "privileges": JOIN}, [rtc("2882341273", {1: 600})]),
            (
                "rtc account, role 1",
                {**ACCOUNT, "role": "publisher"},
                [rtc("al ice", dict.fromkeys((1, 2, 3, 4), 3600))],
            ),
            ("rtc account, role 2", {**ACCOUNT, "role": "subscriber"}, [rtc("al ice", {1: 3600})]),
            (
                "rtc uid per privilege",
                {**UID, "privileges": OWN},
                [rtc("2882341273", OWN_RIGHTS)],
            ),
            (
                "rtc account per privilege",
                {**ACCOUNT, "privileges": OWN},
                [rtc("al ice", OWN_RIGHTS)],
            ),
            (
                "rtc uid 0",
                {"channel": "lesson-1", "any_user": True, "role": "publisher"},
                [rtc("", dict.fromkeys((1, 2, 3, 4), 3600))],
            ),
            (
                "rtc with rtm",
                {**ACCOUNT, "privileges": JOIN, "rtm": RtmLogin("al ice")},
                [rtc("al ice", {1: 600}), rtm("al ice", 3600)],
            ),
            (
                "rtc with rtm2, role 1",
                {**ACCOUNT, "privileges": OWN, "rtm": RtmLogin("rtm-1", seconds(500))},
                [rtc("al ice", OWN_RIGHTS), rtm("rtm-1", 500)],
            ),
            (
                "rtc with rtm2, role 2",
                {**UID, "privileges": JOIN, "rtm": RtmLogin("rtm-1", seconds(500))},
                [rtc("2882341273", {1: 600}), rtm("rtm-1", 500)],
            ),
        ]
    ],
    Builder("rtm login", "issue_rtm_token", {"user_id": "al ice", **HOUR}, [rtm("al ice", 3600)]),
    Builder(
        "rtm with permissions",
        "issue_rtm_token",
        {
            "user_id": "al ice",
            "permissions": [
                RtmPermission(access="write", resource_type="user", resources=["é", "*"]),
                RtmPermission(access="read", resource_type="message_channel", resources=["b", "a"]),
            ],
            **HOUR,
        },
        [
            {
                "type": 8,
                "privileges": {1: 3600},
                "user_id": "al ice",
                "permissions": {0: {0: ["b", "a"]}, 4: {1: ["é", "*"]}},
            }
        ],
    ),
    Builder(
        "chat user", "issue_chat_token", {"user_id": "8b1f-uuid", **HOUR}, [chat("8b1f-uuid", 1)]
    ),
    Builder("chat app", "issue_chat_token", {"app": True, **HOUR}, [chat("", 2)]),
    # Agora's apaas builders build the same tokens.
    Builder(
        "education room user",
        "issue_education_token",
        {"room_uuid": "room 1", "user_uuid": "user23", "role": 0, **HOUR},
        [
            rtm("user23", 3600),
            # The MD5 of the user, in hex.
            chat("00a65dd47e842bcc3d82a296301071fb", 1),
            education("room 1", "user23", 0, 1),
        ],
    ),
    Builder(
        "education user",
        "issue_education_token",
        {"user_uuid": "user23", **HOUR},
        [education("", "user23", -1, 2)],
    ),
    Builder(
        "education app", "issue_education_token", {"app": True, **HOUR}, [education("", "", -1, 3)]
    ),
    Builder(
        "fpa",
        "issue_access_token",
        {"services": [FpaService()]},
        [{"type": 4, "privileges": {1: 0}}],
        86400,
    ),
    *agent("convoai", ConvoAiService(), 9),
    *agent("stt", SttService(), 10),
    # All services at once: Agora has no builder for it, but its class supports it.
    Builder(
        "all services",
        "issue_access_token",
        {
            "services": [
                SttService(),
                ConvoAiService(),
                Rtm2Service(user_id="al ice"),
                EducationService(user_uuid="u"),
                FcdnService(channel="lesson-1", any_user=True, play=seconds(9)),
                ChatService(app=True),
                FpaService(),
                StreamingService(any_channel=True, uid=7, publish_raw=seconds(9)),
                RtmService(user_id="z"),
                RtmService(user_id="a"),
                RtcService(channel="lesson-1", uid=7, publish_audio=seconds(9)),
            ],
            **HOUR,
        },
        [
            rtc("7", {2: 9}),
            rtm("z", 3600),
            rtm("a", 3600),
            {"type": 3, "privileges": {2: 9}, "channel_name": "*", "account": "7"},
            {"type": 4, "privileges": {1: 0}},
            chat("", 2),
            {"type": 6, "privileges": {2: 9}, "channel_name": "lesson-1", "account": ""},
            education("", "u", -1, 2),
            {"type": 8, "privileges": {1: 3600}, "user_id": "al ice", "permissions": {}},
            {"type": 9, "privileges": {}},
            {"type": 10, "privileges": {}},
        ],
    ),
]
