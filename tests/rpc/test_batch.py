import asyncio
import time
from typing import Any

import pytest
from grpc import StatusCode, aio

from support import granting
from support.decoding import decode
from support.keys import CERTIFICATE, SECRET_KEY, keyring
from support.serving import PATH, Running, refused, running
from support.waiting import until
from token_authority.v1.access_token_pb2 import AccessTokenService, IssueAccessTokenRequest
from token_authority.v1.batch_pb2 import (
    BatchIssueTokensRequest,
    BatchIssueTokensResponse,
    IssueTokenRequest,
)
from token_authority.v1.chat_pb2 import ChatApp, IssueChatTokenRequest
from token_authority.v1.rtc_pb2 import RTC_ROLE_PUBLISHER, IssueRtcTokenRequest
from token_authority.v1.rtm_pb2 import (
    RTM_ACCESS_READ,
    RTM_RESOURCE_TYPE_USER,
    IssueRtmTokenRequest,
    RtmPermission,
    RtmPermissions,
)
from token_authority.v1.whiteboard_pb2 import (
    WHITEBOARD_ROLE_READER,
    IssueWhiteboardTokenRequest,
    WhiteboardRoomScope,
)
from token_authority_server.authorization import PolicySnapshot


def rtc(uid: int = 1, channel_name: str = "c", project: str = "classroom") -> IssueTokenRequest:
    request = IssueRtcTokenRequest(
        project=project, channel_name=channel_name, uid=uid, role=RTC_ROLE_PUBLISHER
    )
    return IssueTokenRequest(rtc=request)


def room(room_uuid: str = "r", project: str = "classroom") -> IssueTokenRequest:
    request = IssueWhiteboardTokenRequest(
        project=project,
        room=WhiteboardRoomScope(room_uuid=room_uuid),
        role=WHITEBOARD_ROLE_READER,
    )
    return IssueTokenRequest(whiteboard=request)


def chat_app(project: str = "classroom") -> IssueTokenRequest:
    return IssueTokenRequest(chat=IssueChatTokenRequest(project=project, app=ChatApp()))


def batch(*entries: IssueTokenRequest, validate_only: bool = False) -> BatchIssueTokensRequest:
    return BatchIssueTokensRequest(requests=entries, validate_only=validate_only)


async def test_tokens_of_any_kinds_come_in_order(server: Running) -> None:
    response = await server.stub.BatchIssueTokens(batch(rtc(7), room(), rtc(8), chat_app()))
    tokens = [decode(issued.token) for issued in response.issued_tokens]
    uids = [token.fields["services"][0]["uid"] for token in (tokens[0], tokens[2])]
    assert uids == ["7", "8"]
    assert tokens[1].fields["uuid"] == "r"
    assert tokens[3].fields["services"] == [{"type": 5, "privileges": {2: 3600}, "user_id": ""}]
    secrets = (CERTIFICATE, SECRET_KEY, CERTIFICATE, CERTIFICATE)
    assert all(token.verifies(secret) for token, secret in zip(tokens, secrets, strict=True))
    assert not response.decisions


async def test_an_entry_is_answered_as_by_its_own_rpc() -> None:
    async with running() as server:
        (issued,) = (await server.stub.BatchIssueTokens(batch(rtc()))).issued_tokens
    async with running() as server:
        alone = (await server.stub.IssueRtcToken(rtc().rtc)).issued_token
    assert issued == alone


async def test_every_token_has_chance_of_its_own(server: Running) -> None:
    response = await server.stub.BatchIssueTokens(batch(*[rtc()] * 500))
    assert len({issued.token for issued in response.issued_tokens}) == 500


async def test_validate_only_signs_nothing_and_decides_on_each(server: Running) -> None:
    response = await server.stub.BatchIssueTokens(batch(rtc(), room(), validate_only=True))
    assert [decision.key_id for decision in response.decisions] == ["cert-2", "ak-1"]
    assert not response.issued_tokens
    assert server.log[0]["event"] == "validated"


async def test_the_log_has_one_line_with_every_fingerprint(server: Running) -> None:
    response = await server.stub.BatchIssueTokens(batch(rtc(), room(project="whiteboard-only")))
    (line,) = server.log
    expected = {
        "event": "issued",
        "method": "BatchIssueTokens",
        "count": 2,
        "projects": ["classroom", "whiteboard-only"],
        "key_ids": ["ak-1", "cert-2"],
        "token_ids": [issued.token_id for issued in response.issued_tokens],
    }
    assert expected.items() <= line.items()


async def test_all_that_is_wrong_with_any_entry_is_named(server: Running) -> None:
    both = rtc(uid=0, channel_name="ä")
    wildcards = IssueTokenRequest(
        rtc=IssueRtcTokenRequest(any_channel={}, any_user={}, role=RTC_ROLE_PUBLISHER)  # type: ignore[arg-type]
    )
    own = rtc()
    own.rtc.validate_only = True
    answer = await refused(
        server.stub.BatchIssueTokens(
            batch(both, rtc(), IssueTokenRequest(), wildcards, own, room("a b"))
        )
    )
    assert (answer.code, answer.reason) == (StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert sorted(answer.violations) == [
        ("requests[0].rtc.channel_name", "STRING_PATTERN"),
        ("requests[0].rtc.uid", "INT64_GTE_LTE"),
        ("requests[2].request", "REQUIRED"),
        ("requests[3].rtc.any_user", "ANY_USER_WITH_ANY_CHANNEL"),
        ("requests[4].rtc.validate_only", "VALIDATE_ONLY_IN_BATCH"),
        ("requests[5].whiteboard.room.room_uuid", "STRING_PATTERN"),
    ]
    assert answer.metadata["violation_count"] == "6"
    assert answer.message.endswith("; and 1 more")


async def test_a_project_that_must_be_named_is_named_for_each_entry(server: Running) -> None:
    answer = await refused(
        server.stub.BatchIssueTokens(batch(rtc(), rtc(project=""), room("r", "")))
    )
    assert answer.fields == ["requests[1].rtc.project", "requests[2].whiteboard.project"]


@pytest.mark.parametrize(
    ("entry", "reason", "path"),
    [
        (rtc(project="nowhere"), "GRANT_MISSING", "requests[1].rtc"),
        (room(project="rtc-only"), "PROJECT_LACKS_PRODUCT", "requests[1].whiteboard"),
        (rtc(project="retired"), "NO_ACTIVE_KEY", "requests[1].rtc"),
    ],
    ids=["project", "product", "key"],
)
async def test_the_first_refused_entry_refuses_the_batch(
    server: Running, entry: IssueTokenRequest, reason: str, path: str
) -> None:
    alone = await refused(
        server.stub.IssueRtcToken(entry.rtc)
        if entry.HasField("rtc")
        else server.stub.IssueWhiteboardToken(entry.whiteboard)
    )
    answer = await refused(
        server.stub.BatchIssueTokens(batch(rtc(), entry, rtc(project="nowhere")))
    )
    assert (answer.code, answer.reason) == (alone.code, reason)
    assert answer.metadata == {**alone.metadata, "entry": path}
    assert answer.message == f"{path}: {alone.message}"
    assert all(line["event"] == "refused" for line in server.log)


async def test_what_is_wrong_comes_before_what_is_not_allowed(server: Running) -> None:
    answer = await refused(server.stub.BatchIssueTokens(batch(rtc(project="nowhere"), rtc(uid=0))))
    assert answer.violations == [("requests[1].rtc.uid", "INT64_GTE_LTE")]


@pytest.mark.parametrize(
    ("count", "reason"), [(0, "REPEATED_MIN_ITEMS"), (501, "REPEATED_MAX_ITEMS")]
)
async def test_a_batch_has_1_to_500_entries(server: Running, count: int, reason: str) -> None:
    answer = await refused(server.stub.BatchIssueTokens(batch(*[rtc()] * count)))
    assert answer.violations == [("requests", reason)]
    assert "1 to 500" in answer.message


async def test_thousands_of_violations_fit_a_status(server: Running) -> None:
    entries = [rtc(uid=0, channel_name="ä" * 40, project="-") for _ in range(500)]
    answer = await refused(server.stub.BatchIssueTokens(batch(*entries)))
    assert answer.code is StatusCode.INVALID_ARGUMENT
    assert answer.metadata["violation_count"] == "2000"
    assert len(answer.violations) >= 20
    assert answer.fields[0] == "requests[0].rtc.project"


def large_rtm() -> IssueTokenRequest:
    permission = RtmPermission(
        resource_type=RTM_RESOURCE_TYPE_USER, access=RTM_ACCESS_READ, resources=["x" * 255] * 100
    )
    request = IssueRtmTokenRequest(
        project="classroom", user_id="u", permissions=RtmPermissions(permissions=[permission])
    )
    return IssueTokenRequest(rtm=request)


async def test_an_entry_is_not_larger_than_its_own_rpc_takes(server: Running) -> None:
    alone = await refused(server.stub.IssueRtmToken(large_rtm().rtm))
    assert (alone.code, alone.reason) == (StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert "larger than 16384 bytes" in alone.message
    answer = await refused(server.stub.BatchIssueTokens(batch(rtc(0), large_rtm(), large_rtm())))
    assert f"requests[1] was not accepted: {alone.message}" in answer.message
    assert answer.violations == [
        ("requests[0].rtc.uid", "INT64_GTE_LTE"),
        ("requests[1]", "NOT_ACCEPTED"),
        ("requests[2]", "NOT_ACCEPTED"),
    ]
    smaller = large_rtm()
    del smaller.rtm.permissions.permissions[0].resources[50:]
    assert (await server.stub.BatchIssueTokens(batch(smaller))).issued_tokens


async def test_an_entry_that_cannot_be_decoded_is_named(server: Running) -> None:
    method: Any = server.channel.unary_unary(PATH + "BatchIssueTokens")
    good = rtc().SerializeToString()
    unknown = good + b"\xf8\x3f\x01"
    entries = [good, b"\x12\x7f", unknown]
    data = b"".join([b"\x0a" + bytes([len(entry)]) + entry for entry in entries])
    answer = await refused(method(data))
    assert answer.violations == [("requests[1]", "NOT_ACCEPTED"), ("requests[2]", "NOT_ACCEPTED")]
    assert "unknown fields" in answer.message
    assert "unknown fields" in (await refused(method(data + b"\xf8\x3f\x01"))).message


class Adopting:
    """Takes the callers' grants away while a batch is charged."""

    def __init__(self) -> None:
        self.server: Running | None = None

    async def spend(self, *_: object) -> None:
        assert self.server
        narrow = granting.callers(granting.caller(granting.grant(channels=("other",))))
        self.server.authority.apply(PolicySnapshot(keyring(), narrow))


async def test_an_entry_that_is_not_allowed_any_more_is_named() -> None:
    limiter: Any = Adopting()
    async with running(limiter=limiter) as server:
        limiter.server = server
        entries = [rtc(channel_name="other"), rtc(channel_name="c")]
        answer = await refused(server.stub.BatchIssueTokens(batch(*entries)))
        assert (answer.reason, answer.metadata["entry"]) == ("GRANT_MISSING", "requests[1].rtc")
        assert answer.message.startswith("requests[1].rtc: ")


class Waiting:
    """Never finishes to charge."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()

    async def spend(self, *_: object) -> None:
        self.begun.set()
        await asyncio.Event().wait()


async def test_a_call_that_is_given_up_leaves_a_line() -> None:
    limiter: Any = Waiting()
    async with running(limiter=limiter) as server:
        call = server.stub.BatchIssueTokens(batch(rtc()))
        await limiter.begun.wait()
        call.cancel()
        await until(lambda: server.log)
        (line,) = server.log
        assert (line["event"], line["method"]) == ("cancelled", "BatchIssueTokens")
        assert b"CANCELLED" in server.metrics.exposition()


async def calls_meanwhile(server: Running, until: "asyncio.Task[Any]") -> list[float]:
    """Makes single calls one after the other; returns how long each took, in ms."""
    times: list[float] = []
    while not until.done():
        started = time.perf_counter()
        await server.stub.IssueRtcToken(rtc().rtc)
        times.append((time.perf_counter() - started) * 1000)
    return times


async def test_other_calls_are_answered_while_a_batch_is_signed() -> None:
    async with running() as server, aio.insecure_channel(server.address) as channel:
        data = batch(*[rtc(uid) for uid in range(1, 501)]).SerializeToString()
        method: Any = channel.unary_unary(PATH + "BatchIssueTokens")
        await method(data)

        async def batches() -> list[bytes]:
            return [await method(data) for _ in range(5)]

        task = asyncio.create_task(batches())
        times = await calls_meanwhile(server, task)
        responses = [BatchIssueTokensResponse.FromString(answer) for answer in task.result()]
    assert all(len(response.issued_tokens) == 500 for response in responses)
    # One call for each batch would mean that they waited for it.
    assert len(times) > 2 * len(responses)


async def test_a_batch_of_nothing_but_mistakes_does_not_hold_up_others(server: Running) -> None:
    entry = IssueTokenRequest(
        access_token=IssueAccessTokenRequest(services=[AccessTokenService()] * 8000)
    )
    data = BatchIssueTokensRequest(requests=[entry] * 60).SerializeToString()
    answer = await refused(server.channel.unary_unary(PATH + "BatchIssueTokens")(data))
    # One for each entry: explaining all 480,000 took 11 s and 300 MB.
    assert answer.metadata["violation_count"] == "60"
    assert len(server.log[-1]["violations"]) < 2000
