import random
import string
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from support import granting
from support.clients import Either, answering
from support.decoding import decode
from support.keys import CERTIFICATE
from support.serving import Running, refused, running
from token_authority.v1.batch_pb2 import BatchIssueTokensRequest, BatchIssueTokensResponse
from token_authority.v1.issued_token_pb2 import IssuedToken
from token_authority_client import (
    AsyncTokenAuthorityClient,
    ClientClosed,
    Decision,
    InternalError,
    InvalidRequest,
    PermissionDenied,
    RateLimited,
    RtmPermission,
    TokenRequest,
    prepare,
)
from token_authority_client._batches import MAX_BYTES, MAX_REQUESTS, Batch, take

HOUR = timedelta(hours=1)


def rtc(uid: Any = 7, **changes: Any) -> TokenRequest:
    return prepare.issue_rtc_token(
        **{"channel": "c", "uid": uid, "role": "publisher", "project": "classroom", **changes}
    )


def large(seed: int) -> TokenRequest:
    """A request of almost 16 KB, the most that a server takes for one token."""
    noise = random.Random(seed)  # noqa: S311
    names = ["".join(noise.choices(string.printable, k=160)) for _ in range(98)]
    allowed = RtmPermission(access="read", resource_type="user", resources=names)
    return prepare.issue_rtm_token(user_id=f"u{seed}", permissions=[allowed], project="classroom")


def batches(server: Running) -> list[dict[str, Any]]:
    return [line for line in server.log if line.get("method") == "BatchIssueTokens"]


def uids(tokens: list[Any]) -> list[int]:
    return [int(decode(issued.token).fields["services"][0]["uid"]) for issued in tokens]


@pytest.fixture
async def captured() -> AsyncGenerator[tuple[str, list[BatchIssueTokensRequest]]]:
    """A server that keeps what it is sent, and answers with as many tokens."""
    requests: list[BatchIssueTokensRequest] = []

    async def call(data: bytes, _: Any) -> bytes:
        request = BatchIssueTokensRequest.FromString(data)
        requests.append(request)
        tokens = [IssuedToken(token="007…") for _ in request.requests]
        return BatchIssueTokensResponse(issued_tokens=tokens).SerializeToString()

    async with answering(call) as target:
        yield target, requests


async def test_many_tokens_come_in_the_order_of_their_requests(
    either: Either, server: Running
) -> None:
    requests = [rtc(uid) for uid in range(1, 1204)]
    tokens = await either.issue_many(requests)
    assert uids(tokens) == list(range(1, 1204))
    assert all(decode(issued.token).verifies(CERTIFICATE) for issued in tokens)
    assert [line["count"] for line in batches(server)] == [500, 500, 203]


async def test_requests_may_come_from_a_generator(either: Either) -> None:
    assert uids(await either.issue_many(rtc(uid) for uid in (3, 1, 2))) == [3, 1, 2]


async def test_nothing_asked_is_nothing_sent(client_type: Any) -> None:
    either = Either(client_type("127.0.0.1:1"))
    assert await either.issue_many([]) == []
    assert await either.validate_only.issue_many(()) == []
    await either.close()


async def test_validation_of_many_answers_with_decisions(either: Either, server: Running) -> None:
    requests = [rtc(uid, ttl=timedelta(minutes=1, seconds=uid)) for uid in range(1, 502)]
    decisions = await either.validate_only.issue_many(requests)
    assert decisions == [
        Decision(
            "tester",
            "all-of-classroom",
            timedelta(minutes=1, seconds=uid),
            timedelta(days=1),
            "cert-2",
            (),
        )
        for uid in range(1, 502)
    ]
    assert [line["event"] for line in batches(server)] == ["validated"] * 2


async def test_the_limit_is_the_contracts(server: Running) -> None:
    entry = {"rtc": {"channel_name": "c", "uid": 1, "role": 1, "project": "classroom"}}
    batch: Any = BatchIssueTokensRequest
    answer = await server.stub.BatchIssueTokens(batch(requests=[entry] * MAX_REQUESTS))
    assert len(answer.issued_tokens) == MAX_REQUESTS
    refusal = await refused(server.stub.BatchIssueTokens(batch(requests=[entry] * 501)))
    assert refusal.violations == [("requests", "REPEATED_MAX_ITEMS")]


async def test_large_requests_travel_in_smaller_parts(either: Either, server: Running) -> None:
    requests = [large(seed) for seed in range(100)]
    assert sum(len(request.message.SerializeToString()) for request in requests) > 3 * MAX_BYTES
    tokens = await either.issue_many(requests)
    users = [decode(issued.token).fields["services"][0]["user_id"] for issued in tokens]
    assert users == [f"u{seed}" for seed in range(100)]
    assert len(batches(server)) == 4


def split(requests: list[TokenRequest]) -> list[Batch]:
    parts = list[Batch]()
    sent = 0
    while sent < len(requests):
        parts.append(take(requests, sent, MAX_REQUESTS, "classroom", validate_only=False))
        sent += len(parts[-1].message.requests)
    return parts


def test_no_part_is_larger_than_it_may_be_nor_smaller_than_it_need_be() -> None:
    middling = [prepare.issue_rtm_token(user_id="x" * 1100) for _ in range(1000)]
    requests = [
        *[rtc(uid) for uid in range(1, 700)],
        *middling,
        *[large(seed) for seed in range(40)],
    ]
    parts = split(requests)
    sizes = [part.message.ByteSize() for part in parts]
    counts = [len(part.message.requests) for part in parts]
    assert max(sizes) <= MAX_BYTES
    assert max(counts) == MAX_REQUESTS
    assert sum(counts) == len(requests)
    assert [part.first for part in parts] == [sum(counts[:n]) for n in range(len(parts))]
    for n, part in enumerate(parts[1:]):
        one_more = sizes[n] + part.message.requests[0].ByteSize() + 5 * (counts[n] + 1)
        assert counts[n] == MAX_REQUESTS or one_more > MAX_BYTES


def test_a_request_larger_than_a_part_travels_alone() -> None:
    huge = prepare.issue_rtm_token(user_id="x" * MAX_BYTES)
    parts = split([rtc(), huge, rtc()])
    assert [len(part.message.requests) for part in parts] == [1, 1, 1]


async def test_errors_count_from_the_start_of_the_list(either: Either, server: Running) -> None:
    requests = [rtc(uid) for uid in range(1, 1204)]
    requests[499] = requests[503] = rtc(0)
    requests[777] = rtc(channel="x" * 65)
    with pytest.raises(InvalidRequest) as caught:
        await either.issue_many(requests)
    assert [violation.field for violation in caught.value.violations] == ["requests[499].rtc.uid"]
    requests[499] = rtc()
    with pytest.raises(InvalidRequest) as caught:
        await either.issue_many(requests)
    error = caught.value
    fields = ["requests[503].rtc.uid", "requests[777].rtc.channel_name"]
    assert [violation.field for violation in error.violations] == fields
    assert error.metadata["fields"] == ",".join(fields)
    for words in (str(error), error.message, error.advice, error.metadata["advice"]):
        assert "requests[503].uid must be from 1" in words
        assert "requests[3]" not in words
    # What comes after it is not asked for.
    assert len(batches(server)) == 1 + 2


async def test_any_other_refusal_names_the_entry_of_the_list(either: Either) -> None:
    requests = [rtc(uid) for uid in range(1, 900)]
    requests[612] = rtc(project="nowhere")
    with pytest.raises(PermissionDenied, match=r"^requests\[612\]") as caught:
        await either.issue_many(requests)
    assert caught.value.reason == "GRANT_MISSING"
    assert caught.value.metadata["entry"].startswith("requests[612]")
    assert caught.value.metadata["project"] == "nowhere"


async def test_a_channel_that_is_called_like_an_entry_keeps_its_name(client_type: Any) -> None:
    narrow = granting.callers(granting.caller(granting.grant(channels=("lesson-*",))))
    async with running(who=narrow) as server:
        either = Either(client_type(server.address))
        requests = [rtc(channel="lesson-1")] * MAX_REQUESTS + [rtc(channel="requests[3]")]
        with pytest.raises(PermissionDenied, match=r"^requests\[500\]") as caught:
            await either.issue_many(requests)
        assert "'requests[3]'" in str(caught.value)
        assert "requests[3]" in caught.value.metadata["wanted"]
        await either.close()


async def test_hundreds_of_violations_arrive(either: Either) -> None:
    bad = [rtc(0, channel="ü" * 40, ttl=timedelta(days=2)) for _ in range(MAX_REQUESTS)]
    with pytest.raises(InvalidRequest) as caught:
        await either.issue_many([rtc(), *bad])
    assert caught.value.reason == "INVALID_REQUEST"
    assert caught.value.violations[0].field.startswith("requests[1].rtc.")


async def test_requests_stay_as_they_are_and_may_be_sent_again(
    server: Running, client_type: Any
) -> None:
    requests = [rtc(project=""), rtc(project="classroom"), rtc(project="")]
    before = [request.message.SerializeToString() for request in requests]
    for project in ("rtc-only", "classroom"):
        either = Either(client_type(server.address, project=project))
        for methods in (either, either.validate_only):
            await methods.issue_many(requests)
            await methods.issue(requests[0])
        await either.close()
    assert [request.message.SerializeToString() for request in requests] == before
    projects = [line["projects"] for line in batches(server)]
    assert projects == [["classroom", "rtc-only"]] * 2 + [["classroom"]] * 2


async def test_a_default_project_is_each_entrys(
    captured: tuple[str, list[BatchIssueTokensRequest]], client_type: Any
) -> None:
    target, sent = captured
    either = Either(client_type(target, project="ours"))
    chat = prepare.issue_chat_token(app=True)
    await either.issue_many([rtc(project=""), chat, rtc(project="theirs")])
    await either.close()
    (batch,) = sent
    assert [entry.WhichOneof("request") for entry in batch.requests] == ["rtc", "chat", "rtc"]
    assert batch.requests[0].rtc.project == "ours"
    assert batch.requests[1].chat.project == "ours"
    assert batch.requests[2].rtc.project == "theirs"
    assert not batch.validate_only


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (rtc(), "requests"),
        ("requests", "requests"),
        (None, "requests"),
        ([rtc(), "rtc"], "requests[1]"),
        ([rtc()] * 600 + [None], "requests[600]"),
    ],
    ids=["one", "text", "None", "text within", "None at the end"],
)
async def test_what_prepare_did_not_make_is_refused_before_anything_is_sent(
    either: Either, server: Running, wrong: Any, field: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await either.issue_many(wrong)
    assert [violation.field for violation in caught.value.violations] == [field]
    assert server.log == []


@pytest.mark.parametrize("count", [0, 1, 3])
async def test_too_few_or_too_many_answers_are_an_internal_error(
    client_type: Any, count: int
) -> None:
    async def call(_: bytes, __: Any) -> bytes:
        tokens = [IssuedToken(token="007…")] * count
        return BatchIssueTokensResponse(issued_tokens=tokens).SerializeToString()

    async with answering(call) as target:
        either = Either(client_type(target))
        with pytest.raises(InternalError, match="cannot be read"):
            await either.issue_many([rtc(), rtc()])
        with pytest.raises(InternalError, match="cannot be read"):
            await either.validate_only.issue_many([rtc(), rtc()])
        await either.close()


async def test_a_large_batch_is_tried_again_like_any_call(client_type: Any) -> None:
    sizes: list[int] = []

    async def call(data: bytes, context: Any) -> bytes:
        sizes.append(len(data))
        if len(sizes) < 3:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "not yet")
        count = len(BatchIssueTokensRequest.FromString(data).requests)
        tokens = [IssuedToken(token="007…")] * count
        return BatchIssueTokensResponse(issued_tokens=tokens).SerializeToString()

    async with answering(call) as target:
        either = Either(client_type(target))
        await either.issue_many([large(seed) for seed in range(30)])
        await either.close()
    assert len(sizes) == 3
    # grpc keeps no more than this for another attempt unless told to.
    assert min(sizes) > 256 * 1024


async def test_an_answer_may_be_larger_than_grpcs_default(client_type: Any) -> None:
    async def call(_: bytes, __: Any) -> bytes:
        tokens = [IssuedToken(token="7" * 10_000)] * MAX_REQUESTS
        return BatchIssueTokensResponse(issued_tokens=tokens).SerializeToString()

    async with answering(call) as target:
        either = Either(client_type(target))
        assert len(await either.issue_many([rtc()] * MAX_REQUESTS)) == MAX_REQUESTS
        await either.close()


async def test_a_closed_client_sends_nothing(either: Either) -> None:
    await either.close()
    with pytest.raises(ClientClosed):
        await either.issue_many([rtc()])


async def test_a_server_with_a_lower_limit_takes_parts_of_half_a_mebibyte() -> None:
    async with (
        running(max_request_bytes=MAX_BYTES) as server,
        AsyncTokenAuthorityClient(server.address) as client,
    ):
        assert len(await client.issue_many([large(seed) for seed in range(70)])) == 70


async def test_chunk_size_is_the_most_requests_of_one_call(either: Either, server: Running) -> None:
    assert len(await either.issue_many([rtc() for _ in range(7)], chunk_size=3)) == 7
    assert len(batches(server)) == 3


@pytest.mark.parametrize("size", [0, -1, 501, 2.0, True, "3"])
async def test_a_chunk_size_out_of_range_is_refused(either: Either, size: Any) -> None:
    with pytest.raises(InvalidRequest, match="chunk_size must be an integer from 1 to 500"):
        await either.issue_many([rtc()], chunk_size=size)


async def test_a_list_larger_than_the_rate_limit_is_split_and_then_rate_limited(
    client_type: Any,
) -> None:
    who = granting.callers(granting.caller(granting.grant(), rate_limit="50/hour"))
    async with running(who=who) as server:
        either = Either(client_type(server.address))
        assert (await either.get_authority_info()).limits.max_batch_size == 50
        with pytest.raises(RateLimited) as caught:
            await either.issue_many([rtc() for _ in range(150)])
        assert caught.value.retry_after
        await either.close()


def refusing_more_than(max_batch: str, sizes: list[int]) -> Any:
    """Answers batches; refuses those of more than five tokens, and names another maximum."""

    async def call(encoded: bytes, context: Any) -> bytes:
        count = len(BatchIssueTokensRequest.FromString(encoded).requests)
        sizes.append(count)
        if count > 5:
            info = error_details_pb2.ErrorInfo(
                reason="BATCH_EXCEEDS_LIMIT",
                domain="token-authority",
                metadata={"max_batch": max_batch},
            )
            status = status_pb2.Status(code=3, message="too many")
            status.details.add().Pack(info)
            metadata = (("grpc-status-details-bin", status.SerializeToString()),)
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "too many", metadata)
        tokens = [IssuedToken(token="7")] * count
        return BatchIssueTokensResponse(issued_tokens=tokens).SerializeToString()

    return call


async def test_batches_are_no_larger_than_the_server_accepts(client_type: Any) -> None:
    sizes = list[int]()
    async with answering(refusing_more_than("5", sizes)) as target:
        either = Either(client_type(target))
        assert len(await either.issue_many([rtc()] * 12)) == 12
        await either.close()
    assert sizes == [12, 5, 5, 2]


@pytest.mark.parametrize("max_batch", ["0", "12", "x", "", "-1"])
async def test_a_maximum_that_would_not_help_is_not_tried(client_type: Any, max_batch: str) -> None:
    sizes = list[int]()
    async with answering(refusing_more_than(max_batch, sizes)) as target:
        either = Either(client_type(target))
        with pytest.raises(InvalidRequest, match="too many"):
            await either.issue_many([rtc()] * 12)
        await either.close()
    assert sizes == [12]
