"""When and how a request's body is read: after authentication, in time, bounded, decompressed."""

import asyncio
import contextlib
import gzip
import threading
import zlib
from collections.abc import AsyncIterator
from typing import Any, Final

import grpc
import pytest
from grpc import StatusCode, aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from support import granting
from support.http2 import (
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PREFACE,
    SETTINGS,
    frame,
    request_headers,
)
from support.jwks import AUDIENCE, IDENTITY, ISSUER, Signer, key_server, send
from support.keys import keyring
from support.serving import PATH, Running, refused, running
from support.waiting import until
from token_authority.v1.authority_pb2 import ListSigningKeysRequest
from token_authority.v1.batch_pb2 import BatchIssueTokensRequest, IssueTokenRequest
from token_authority.v1.inspection_pb2 import InspectTokenRequest
from token_authority.v1.rtc_pb2 import (
    RTC_ROLE_PUBLISHER,
    IssueRtcTokenRequest,
    IssueRtcTokenResponse,
)
from token_authority_server.authorization import PolicySnapshot
from token_authority_server.config.callers import CallerSettings
from token_authority_server.identity.jwks_fetch import Location
from token_authority_server.identity.jwt_bearer import JwtPolicy, JwtVerifier
from token_authority_server.identity.key_sources import RemoteKeys
from token_authority_server.rpc.authentication import Authenticator
from token_authority_server.rpc.contract import SERVICES
from token_authority_server.rpc.public_services import (
    MAX_READS_PER_CONNECTION,
    MAX_UNREAD_PER_CONNECTION,
    MAX_WATCHES_PER_CONNECTION,
)
from token_authority_server.rpc.request_body import BodyReader

VALID: Final = IssueRtcTokenRequest(channel_name="c", uid=1, role=RTC_ROLE_PUBLISHER)
# The field `project` many times over, which compresses well and is valid.
PADDED: Final = b"\x0a\x09classroom" * 500 + VALID.SerializeToString()
KEYED: Final = granting.callers(
    granting.caller(granting.grant(), identities=[granting.API_KEY_IDENTITY])
)
OTHER_KEY: Final = f"api-key:sha256:{'0' * 64}"
BEARER: Final = (("authorization", f"Bearer {granting.API_KEY}"),)
CHECK: Final = "/grpc.health.v1.Health/Check"
WATCH: Final = "/grpc.health.v1.Health/Watch"
REFLECTION: Final = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"


def sending(server: Running, *messages: bytes, path: str = PATH + "IssueRtcToken") -> Any:
    """A call that sends messages and ends; to the server the method is unary."""

    async def requests() -> AsyncIterator[bytes]:
        for message in messages:
            yield message

    return server.channel.stream_unary(path)(requests(), metadata=BEARER)


def silent(server: Running, metadata: Any = BEARER, path: str = PATH + "IssueRtcToken") -> Any:
    """A call of which only the headers come."""

    async def requests() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    return server.channel.stream_unary(path)(requests(), metadata=metadata, wait_for_ready=True)


async def test_a_stranger_is_refused_before_the_body_comes() -> None:
    async with running(who=KEYED) as server:
        answer = await refused(silent(server, metadata=()))
        assert answer.reason == "CREDENTIAL_MISSING"
        assert answer.details["ErrorInfo"].metadata["advice"]


async def test_a_call_without_a_message_is_an_invalid_argument() -> None:
    async with running(who=KEYED) as server:
        answer = await refused(sending(server))
        assert (answer.code, answer.reason) == (StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
        assert answer.message == "the call has no request message: send exactly one message"
        assert server.handlers.in_flight.total == 0


async def test_the_first_of_several_messages_is_answered() -> None:
    async with running(who=KEYED) as server:
        answer = await sending(server, VALID.SerializeToString(), b"\xff")
        assert IssueRtcTokenResponse.FromString(answer).issued_token.token


async def test_a_body_that_does_not_come_is_refused_and_frees_its_place() -> None:
    async with running(who=KEYED) as server:
        server.handlers._bodies = BodyReader(1000, seconds=0.2)
        calls = [silent(server) for _ in range(3)]
        await until(lambda: server.handlers.in_flight.total == 3)
        for call in calls:
            answer = await refused(call)
            assert (answer.code, answer.reason) == (StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
            assert answer.metadata["seconds"] == "0.2"
        assert server.handlers.in_flight.total == 0
        # The next deadline counts from its own call.
        assert (await refused(silent(server))).metadata["seconds"] == "0.2"


LATER: Final = {
    "without the credential": (
        granting.caller(granting.grant(), identities=[OTHER_KEY]),
        "CREDENTIAL_INVALID",
    ),
    "without the grants": (
        granting.caller(
            granting.everything("other", allow=()), identities=[granting.API_KEY_IDENTITY]
        ),
        "GRANT_MISSING",
    ),
}
REQUESTS: Final = {
    PATH + "IssueRtcToken": VALID,
    PATH + "BatchIssueTokens": BatchIssueTokensRequest(requests=[IssueTokenRequest(rtc=VALID)]),
    "/token_authority.v1.InspectionService/InspectToken": InspectTokenRequest(token="007"),
    "/token_authority.v1.AuthorityService/ListSigningKeys": ListSigningKeysRequest(
        project="classroom"
    ),
}


@pytest.mark.parametrize(("caller", "reason"), LATER.values(), ids=LATER)
@pytest.mark.parametrize("path", REQUESTS)
async def test_a_reload_while_a_body_is_awaited_decides_on_the_call(
    path: str, caller: CallerSettings, reason: str
) -> None:
    """Calls that were begun with a credential must not outlive it, whatever they ask for."""
    reloaded = asyncio.Event()

    async def requests() -> AsyncIterator[bytes]:
        await reloaded.wait()
        yield REQUESTS[path].SerializeToString()

    async with running(who=KEYED) as server:
        call = server.channel.stream_unary(path)(requests(), metadata=BEARER)
        await until(lambda: server.handlers.in_flight.total == 1)
        later = granting.callers(caller)
        server.authority.apply(PolicySnapshot(keyring(), later))
        server.handlers.authenticate_with(Authenticator(later, None))
        reloaded.set()
        assert (await refused(call)).reason == reason
        assert server.handlers.in_flight.total == 0


async def test_a_call_that_is_cancelled_while_its_body_is_awaited_frees_its_place() -> None:
    async with running(who=KEYED) as server:
        call = silent(server)
        await until(lambda: server.handlers.in_flight.total == 1)
        call.cancel()
        await until(lambda: server.handlers.in_flight.total == 0)
        await until(lambda: server.log)
        # grpc ends the read, or cancels the call, whichever comes first.
        assert server.log[-1]["event"] in {"cancelled", "refused"}


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
async def test_honest_clients_may_compress(compression: grpc.Compression) -> None:
    async with (
        running() as server,
        aio.insecure_channel(server.address, compression=compression) as channel,
    ):
        method: Any = channel.unary_unary(PATH + "IssueRtcToken")
        # Compression that saves nothing is not applied, so a padded message, which is refused.
        answer = IssueRtcTokenResponse.FromString(await method(PADDED))
        assert answer.issued_token.token


@pytest.mark.parametrize("wbits", [31, 15], ids=["gzip", "deflate"])
async def test_compressed_data_is_bounded_and_has_to_be_whole(wbits: int) -> None:
    def compressed(data: bytes) -> bytes:
        compressor = zlib.compressobj(wbits=wbits)
        return compressor.compress(data) + compressor.flush()

    async with running(who=KEYED, max_request_bytes=len(PADDED)) as server:
        assert await sending(server, compressed(PADDED))
        for large in (PADDED + b"\x0a\x00", bytes(10_000_000)):
            answer = await refused(sending(server, compressed(large)))
            assert answer.code is StatusCode.INVALID_ARGUMENT
            assert answer.metadata["max_bytes"] == str(len(PADDED))
        for broken in (compressed(PADDED)[:-9], compressed(b"")[:2] + b"\xff" * 9):
            answer = await refused(sending(server, broken))
            assert answer.reason == "INVALID_REQUEST"
            assert "cannot be decompressed" in answer.message


def test_no_request_begins_like_compressed_data() -> None:
    # deflate begins with the tag of a varint in field 15; gzip with no tag at all.
    for service in SERVICES:
        for method in service.methods:
            assert 15 not in method.input_type.fields_by_number, method.full_name


async def test_of_health_checks_without_a_message_the_oldest_is_refused() -> None:
    async with running(who=KEYED) as server:
        # Connected first, so that calls reach the server in this order.
        await server.channel.channel_ready()
        oldest = silent(server, path=CHECK)
        others = [silent(server, path=CHECK) for _ in range(MAX_READS_PER_CONNECTION)]
        answer = await refused(oldest)
        assert (answer.code, answer.reason) == (
            StatusCode.RESOURCE_EXHAUSTED,
            "TOO_MANY_IN_FLIGHT",
        )
        # One that comes with its message is answered beside them.
        health: Any = health_pb2_grpc.HealthStub(server.channel)
        response = await health.Check(health_pb2.HealthCheckRequest())
        assert response.status == health_pb2.HealthCheckResponse.SERVING
        for call in others:
            call.cancel()
        metric = 'token_authority_refusals_total{caller="",reason="TOO_MANY_IN_FLIGHT"}'
        assert metric.encode() in server.metrics.exposition()


async def ended_without_reading(address: str, path: str, body: bytes) -> set[int]:
    """Makes 100 calls on a connection whose client reads no message; returns those that ended."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    initial_window_size = (4).to_bytes(2) + (0).to_bytes(4)
    writer.write(PREFACE + frame(SETTINGS, 0, 0, initial_window_size))
    for stream in range(1, 200, 2):
        writer.write(frame(HEADERS, END_HEADERS, stream, request_headers(path, address)))
        writer.write(frame(DATA, END_STREAM, stream, bytes(1) + len(body).to_bytes(4) + body))
    ended: set[int] = set()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1):
            while True:
                head = await reader.readexactly(9)
                await reader.readexactly(int.from_bytes(head[:3]))
                if head[3] == HEADERS and head[4] & END_STREAM:
                    ended.add(int.from_bytes(head[5:]))
    writer.close()
    return ended


LIST_SERVICES: Final = reflection_pb2.ServerReflectionRequest(list_services="")


@pytest.mark.parametrize(("path", "request_"), [(CHECK, None), (REFLECTION, LIST_SERVICES)])
async def test_responses_that_unauthenticated_clients_do_not_read_are_bounded(
    path: str, request_: Any
) -> None:
    body = request_.SerializeToString() if request_ else b""
    async with running(who=KEYED, with_reflection=True) as server:
        ended = await ended_without_reading(server.address, path, body)
        # Those that are refused end: a status needs no window.
        assert len(ended) == 100 - MAX_UNREAD_PER_CONNECTION
        health: Any = health_pb2_grpc.HealthStub(server.channel)
        response = await health.Check(health_pb2.HealthCheckRequest())
        assert response.status == health_pb2.HealthCheckResponse.SERVING


async def test_the_requests_of_public_services_are_small() -> None:
    bomb = gzip.compress(bytes(10_000_000))
    async with running(who=KEYED, with_reflection=True) as server:
        answer = await refused(sending(server, bomb, path=CHECK))
        assert (answer.code, answer.metadata["max_bytes"]) == (StatusCode.INVALID_ARGUMENT, "4096")
        stub: Any = reflection_pb2_grpc.ServerReflectionStub(server.channel)
        request = reflection_pb2.ServerReflectionRequest(file_by_filename="x" * 5000)
        with pytest.raises(aio.AioRpcError) as caught:
            await anext(aiter(stub.ServerReflectionInfo(iter([request]))))
        assert caught.value.code() is StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("path", [CHECK, WATCH, REFLECTION])
async def test_a_public_request_that_cannot_be_decoded_is_refused(path: str) -> None:
    async with running(who=KEYED, with_reflection=True) as server:
        call = server.channel.stream_stream(path)(iter([b"\xff\xff"]), timeout=5)
        with pytest.raises(aio.AioRpcError) as caught:
            await anext(aiter(call))
        assert caught.value.code() is StatusCode.INVALID_ARGUMENT
        # Logged and counted like other refusals, instead of grpc's ERROR with a traceback.
        (line,) = [line for line in server.log if line["event"] == "refused"]
        assert line["reason"] == "INVALID_REQUEST"


async def test_health_watches_of_one_connection_are_bounded() -> None:
    async with running(who=KEYED) as server:
        health: Any = health_pb2_grpc.HealthStub(server.channel)
        watches = []
        # One after the other: calls that wait for their message have a smaller bound.
        for _ in range(MAX_WATCHES_PER_CONNECTION):
            watches.append(health.Watch(health_pb2.HealthCheckRequest()))
            assert (await anext(aiter(watches[-1]))).status
        # To a client that checks health this means: go on without.
        with pytest.raises(aio.AioRpcError) as caught:
            await anext(aiter(health.Watch(health_pb2.HealthCheckRequest())))
        assert caught.value.code() is StatusCode.UNIMPLEMENTED
        watches[0].cancel()

        async def has_room() -> bool:
            await asyncio.sleep(0.02)
            try:
                return bool(await anext(aiter(health.Watch(health_pb2.HealthCheckRequest()))))
            except aio.AioRpcError:
                return False

        async with asyncio.timeout(10):
            while not await has_room():
                pass


async def test_an_unknown_method_is_refused_at_its_headers_and_counted() -> None:
    async with running(who=KEYED) as server:
        call = silent(server, path=PATH + "MintAnything")
        assert (await refused(call)).code is StatusCode.UNIMPLEMENTED
        count = 'call_duration_seconds_count{grpc_method="other",grpc_status="UNIMPLEMENTED"} 1.0'
        assert count.encode() in server.metrics.exposition()
        assert server.log[-1]["method"] == PATH + "MintAnything"


async def test_of_calls_that_wait_for_keys_one_waits_for_each_connection() -> None:
    signer = Signer("ES256")
    with key_server(signer) as provider:
        asked = asyncio.Event()
        loop = asyncio.get_running_loop()
        go = threading.Event()

        def answer(handler: Any) -> None:
            loop.call_soon_threadsafe(asked.set)
            go.wait(10)
            send(handler, provider.body)

        provider.answer = answer
        keys = RemoteKeys(Location(provider.url), on_failure=print)
        jwt = JwtVerifier(JwtPolicy(ISSUER, AUDIENCE, 0), keys)
        who = granting.callers(
            granting.caller(granting.grant(), identities=[granting.API_KEY_IDENTITY, IDENTITY])
        )
        bearer = (("authorization", f"Bearer {signer.sign()}"),)
        async with running(who=who, jwt=jwt) as server:
            waiting = asyncio.ensure_future(server.stub.IssueRtcToken(VALID, metadata=bearer))
            await asyncio.wait_for(asked.wait(), 10)
            refusal = await refused(server.stub.IssueRtcToken(VALID, metadata=bearer))
            assert (refusal.code, refusal.reason) == (
                StatusCode.UNAVAILABLE,
                "CREDENTIAL_UNVERIFIABLE",
            )
            # What can be verified without them is not held up.
            assert await server.stub.IssueRtcToken(VALID, metadata=BEARER)
            go.set()
            assert (await waiting).issued_token.token
            assert await server.stub.IssueRtcToken(VALID, metadata=bearer)
