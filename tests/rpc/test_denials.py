"""Denials through the wire: in every way to request a token, and what the refusal says."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from google.protobuf.message import Message
from grpc import StatusCode

from support.keys import NOW_MS, Moments
from support.serving import Running, refused, running
from token_authority.v1.access_token_pb2 import (
    AccessTokenService,
    IssueAccessTokenRequest,
    RtcService,
    RtmService,
)
from token_authority.v1.batch_pb2 import BatchIssueTokensRequest, IssueTokenRequest
from token_authority.v1.chat_pb2 import ChatUser, IssueChatTokenRequest
from token_authority.v1.education_pb2 import EducationRoomUser, IssueEducationTokenRequest
from token_authority.v1.issued_token_pb2 import TOKEN_FORMAT_V006
from token_authority.v1.rtc_pb2 import (
    RTC_ROLE_PUBLISHER,
    AnyChannel,
    AnyUser,
    IssueRtcTokenRequest,
    RtmLogin,
)
from token_authority.v1.rtm_pb2 import IssueRtmTokenRequest
from token_authority.v1.whiteboard_pb2 import (
    WHITEBOARD_ROLE_WRITER,
    IssueWhiteboardTokenRequest,
    WhiteboardRoomScope,
    WhiteboardSdkScope,
)
from token_authority_server.access.denial import Denial
from token_authority_server.access.denials import Denials
from token_authority_server.audit import AuditTrail, FileSink

UNTIL_MS: Final = NOW_MS + 3_600_000
UNTIL: Final = "2023-11-14T23:13:20.123Z"
SECRET: Final = "case 12"


def denying(
    user: str | None = None, channel: str | None = None, room: str | None = None
) -> Denials:
    return Denials([Denial("classroom", UNTIL_MS, user, channel, room, reason=SECRET)])


def rtc(**fields: Any) -> IssueRtcTokenRequest:
    return IssueRtcTokenRequest(project="classroom", role=RTC_ROLE_PUBLISHER, **fields)


def composed(*services: AccessTokenService) -> IssueAccessTokenRequest:
    return IssueAccessTokenRequest(project="classroom", services=services)


def in_channel(**fields: Any) -> AccessTokenService:
    service = RtcService(**fields)
    service.join_channel_ttl.FromSeconds(60)
    return AccessTokenService(rtc=service)


def board(**scope: Any) -> IssueWhiteboardTokenRequest:
    return IssueWhiteboardTokenRequest(project="classroom", role=WHITEBOARD_ROLE_WRITER, **scope)


def login(user: str) -> AccessTokenService:
    service = RtmService(user_id=user)
    service.login_ttl.FromSeconds(60)
    return AccessTokenService(rtm=service)


METHODS: Final = {
    IssueRtcTokenRequest: "rtc",
    IssueRtmTokenRequest: "rtm",
    IssueChatTokenRequest: "chat",
    IssueEducationTokenRequest: "education",
    IssueAccessTokenRequest: "access_token",
    IssueWhiteboardTokenRequest: "whiteboard",
}
USER: Final = denying(user="uid:7")
ALICE: Final = denying(user="account:alice")
CHANNEL: Final = denying(channel="lesson-*")
BOTH: Final = denying(user="uid:7", channel="lesson-1")
ROOM: Final = denying(room="r1")
CLASS_USER: Final = EducationRoomUser(room_uuid="r1", user_uuid="alice", role=1)
OTHER_CLASS: Final = EducationRoomUser(room_uuid="r2", user_uuid="bob", role=1)
CASES: Final[dict[str, tuple[Denials, Message, Message]]] = {
    # The denials, a request that they refuse, and a similar one that they do not.
    "a user": (USER, rtc(channel_name="c", uid=7), rtc(channel_name="c", uid=8)),
    "an account that reads like a uid": (
        USER,
        rtc(channel_name="c", user_account="7"),
        rtc(channel_name="c", user_account="07"),
    ),
    "any user": (USER, rtc(channel_name="c", any_user=AnyUser()), rtc(channel_name="c", uid=8)),
    "a user in any channel": (
        BOTH,
        rtc(any_channel=AnyChannel(), uid=7),
        rtc(any_channel=AnyChannel(), uid=8),
    ),
    "a user in a channel": (
        BOTH,
        rtc(channel_name="lesson-1", uid=7),
        rtc(channel_name="lesson-2", uid=7),
    ),
    "any user in a channel": (
        BOTH,
        rtc(channel_name="lesson-1", any_user=AnyUser()),
        rtc(channel_name="lesson-2", any_user=AnyUser()),
    ),
    "a channel": (CHANNEL, rtc(channel_name="lesson-1", uid=8), rtc(channel_name="c", uid=8)),
    "any channel": (
        CHANNEL,
        rtc(any_channel=AnyChannel(), uid=8),
        rtc(channel_name="c", uid=8),
    ),
    "a pattern that overlaps": (
        CHANNEL,
        rtc(channel_pattern="*-1", uid=8),
        rtc(channel_pattern="class-*", uid=8),
    ),
    "a 006 token that can be altered to be for a channel": (
        denying(channel="lesson-12"),
        rtc(channel_name="lesson-1", uid=23, format=TOKEN_FORMAT_V006),
        rtc(channel_name="lesson-1", uid=23),
    ),
    "an RTM login in an RTC token": (
        ALICE,
        rtc(channel_name="c", uid=8, rtm=RtmLogin(user_id="alice")),
        rtc(channel_name="c", uid=8, rtm=RtmLogin(user_id="bob")),
    ),
    "an RTM login": (
        ALICE,
        IssueRtmTokenRequest(project="classroom", user_id="alice"),
        IssueRtmTokenRequest(project="classroom", user_id="bob"),
    ),
    "the same name in another product": (
        denying(user="account:7"),
        IssueRtmTokenRequest(project="classroom", user_id="7"),
        IssueRtmTokenRequest(project="classroom", user_id="8"),
    ),
    "a Chat user, whatever the case": (
        ALICE,
        IssueChatTokenRequest(project="classroom", user=ChatUser(user_id="Alice")),
        IssueChatTokenRequest(project="classroom", user=ChatUser(user_id="bob")),
    ),
    "a Chat user by its name in a classroom": (
        # MD5 of "alice", which Agora's classroom logs in to Chat with.
        denying(user="account:6384e2b2184bcbf58eccf10ca7a6563c"),
        IssueEducationTokenRequest(project="classroom", room_user=CLASS_USER),
        IssueEducationTokenRequest(project="classroom", room_user=OTHER_CLASS),
    ),
    "a classroom": (
        ROOM,
        IssueEducationTokenRequest(project="classroom", room_user=CLASS_USER),
        IssueEducationTokenRequest(project="classroom", room_user=OTHER_CLASS),
    ),
    "a service of a composition": (
        USER,
        composed(login("bob"), in_channel(channel_name="c", uid=7)),
        composed(login("7"), in_channel(channel_name="c", uid=8)),
    ),
    "a whiteboard": (
        ROOM,
        board(room=WhiteboardRoomScope(room_uuid="r1")),
        board(room=WhiteboardRoomScope(room_uuid="r2")),
    ),
    "every whiteboard": (
        ROOM,
        board(sdk=WhiteboardSdkScope()),
        board(room=WhiteboardRoomScope(room_uuid="r2")),
    ),
    "whiteboard tokens name no user": (
        USER,
        rtc(channel_name="c", uid=7),
        board(room=WhiteboardRoomScope(room_uuid="r1")),
    ),
}


def single(server: Running, request: Message) -> Any:
    return getattr(server.stub, f"{type(request).__name__.removesuffix('Request')}")(request)


def entry(request: Any) -> IssueTokenRequest:
    return IssueTokenRequest(**{METHODS[type(request)]: request})


async def issue_single(server: Running, request: Message) -> Any:
    return await single(server, request)


async def issue_in_batch(server: Running, request: Message) -> Any:
    other = rtc(channel_name="elsewhere", uid=99)
    batch = BatchIssueTokensRequest(requests=[entry(other), entry(request)])
    return await server.stub.BatchIssueTokens(batch)


async def validate_single(server: Running, request: Any) -> Any:
    request = type(request).FromString(request.SerializeToString())
    request.validate_only = True
    return await single(server, request)


@pytest.mark.parametrize("issue", [issue_single, issue_in_batch, validate_single])
@pytest.mark.parametrize("case", CASES)
async def test_denied_tokens_are_refused_and_others_issued(
    case: str, issue: Callable[[Running, Message], Any]
) -> None:
    denials, wanted, other = CASES[case]
    async with running(denials=denials) as server:
        refusal = await refused(issue(server, wanted))
        assert (refusal.code, refusal.reason) == (StatusCode.PERMISSION_DENIED, "DENIED")
        assert refusal.metadata["denied_until"] == UNTIL
        assert await issue(server, other)


async def test_a_refusal_says_until_when_and_not_who_or_why() -> None:
    async with running(denials=USER) as server:
        refusal = await refused(single(server, rtc(channel_name="c", any_user=AnyUser())))
        assert refusal.message == (
            "permission denied: this user, channel or room of project 'classroom' is denied until "
            f"{UNTIL}: do not retry before then, unless the server's operator removes the denial"
        )
        assert refusal.metadata.keys() == {"project", "denied_until", "advice"}
        assert refusal.details.keys() == {"ErrorInfo"}
        assert not any(word in str(refusal) for word in ("uid:7", SECRET))
        # Operators see both.
        (line,) = [line for line in server.log if line["event"] == "refused"]
        assert line["detail"] == f"classroom: user uid:7 until {UNTIL}; {SECRET}"
        assert line["reason"] == "DENIED"


async def test_the_latest_end_of_several_denials_is_reported() -> None:
    rows = [
        Denial("classroom", UNTIL_MS - 2000, user="uid:7"),
        Denial("classroom", UNTIL_MS, channel="c"),
        Denial("classroom", UNTIL_MS - 1000, user="uid:*"),
    ]
    async with running(denials=Denials(rows)) as server:
        refusal = await refused(single(server, rtc(channel_name="c", uid=7)))
        assert refusal.metadata["denied_until"] == UNTIL


async def test_a_denial_ends_by_itself() -> None:
    moments = Moments(UNTIL_MS - 1)
    async with running(denials=USER, moments=moments) as server:
        assert (await refused(single(server, rtc(channel_name="c", uid=7)))).reason == "DENIED"
        moments.now_ms = UNTIL_MS
        assert (await single(server, rtc(channel_name="c", uid=7))).issued_token.token


async def test_a_denial_of_one_project_is_none_of_another() -> None:
    async with running(denials=USER) as server:
        request = IssueRtcTokenRequest(
            project="rtc-only", channel_name="c", uid=7, role=RTC_ROLE_PUBLISHER
        )
        assert (await server.stub.IssueRtcToken(request)).issued_token.token


async def test_a_denied_request_is_on_record_with_the_denial(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    trail = AuditTrail(
        [FileSink(path, "never", "a" * 32)],
        required=True,
        clock=Moments().clock,
        on_failure=print,
        on_recovery=print,
    )
    async with running(denials=USER, trail=trail) as server:
        await refused(single(server, rtc(channel_name="c", uid=7)))
    (line,) = path.read_text().splitlines()
    for text in (
        '"event":"refused"',
        '"reason":"DENIED"',
        '"user":"uid:7"',
        '"channel":"c"',
        f'"detail":"classroom: user uid:7 until {UNTIL}; {SECRET}"',
        f'"denied_until":"{UNTIL}"',
    ):
        assert text in line
