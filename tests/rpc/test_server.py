import asyncio
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import StatusCode, aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

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
from support.serving import PATH, Running, refused, running
from support.waiting import until
from token_authority.v1.inspection_pb2 import Expected, InspectTokenRequest
from token_authority.v1.inspection_service_pb2_grpc import InspectionServiceStub
from token_authority.v1.rtc_pb2 import (
    RTC_ROLE_PUBLISHER,
    IssueRtcTokenRequest,
    IssueRtcTokenResponse,
)
from token_authority_server.limits import Quota, RateLimiter
from token_authority_server.rpc.unix_socket import ListenError, cannot_listen
from token_authority_server.rpc.waits import Tarpit

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
VALID = IssueRtcTokenRequest(project="classroom", channel_name="c", uid=1, role=RTC_ROLE_PUBLISHER)


class HeldCall:
    """A call that has begun and whose request arrives when it is let go.

    To the server it is unary; the client streams its one message, and so decides when.
    """

    def __init__(self, server: Running) -> None:
        self._go = asyncio.Event()
        self.answer: Any = server.channel.stream_unary(
            PATH + "IssueRtcToken", response_deserializer=IssueRtcTokenResponse.FromString
        )(self._requests(), wait_for_ready=True)

    async def _requests(self) -> AsyncIterator[bytes]:
        await self._go.wait()
        yield VALID.SerializeToString()

    def let_go(self) -> None:
        self._go.set()


async def held_calls(server: Running, count: int) -> list[HeldCall]:
    """Begins calls, and waits until the server knows of them."""
    calls = [HeldCall(server) for _ in range(count)]
    # HTTP/2 keeps the order of streams on a connection: once this later call has been answered,
    # the server has the headers of the earlier ones.
    await server.stub.IssueRtcToken(VALID)
    return calls


@pytest.mark.parametrize("service", ["", "token_authority.v1.TokenService"])
async def test_health_is_serving(server: Running, service: str) -> None:
    health: Any = health_pb2_grpc.HealthStub(server.channel)
    response = await health.Check(health_pb2.HealthCheckRequest(service=service))
    assert response.status == SERVING


async def test_health_of_an_unknown_service_is_not_found(server: Running) -> None:
    health: Any = health_pb2_grpc.HealthStub(server.channel)
    answer = await refused(health.Check(health_pb2.HealthCheckRequest(service="x")))
    assert answer.code is StatusCode.NOT_FOUND


async def services_by_reflection(channel: Any) -> list[str]:
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
    async for response in stub.ServerReflectionInfo(iter([request])):
        return [service.name for service in response.list_services_response.service]
    raise AssertionError("no answer")


async def test_reflection_is_off_unless_wanted(server: Running) -> None:
    with pytest.raises(aio.AioRpcError) as caught:
        await services_by_reflection(server.channel)
    assert caught.value.code() is StatusCode.UNIMPLEMENTED


async def test_reflection_lists_the_services() -> None:
    async with running(with_reflection=True) as server:
        assert "token_authority.v1.TokenService" in await services_by_reflection(server.channel)


async def test_a_port_in_use_is_refused(server: Running) -> None:
    with pytest.raises(ListenError, match="another process listens there"):
        async with running(listen=server.address):
            pass
    await server.stub.IssueRtcToken(VALID)


@pytest.mark.parametrize(("port", "is_privileged"), [(80, True), (1024, False), (0, False)])
def test_a_privileged_port_that_cannot_be_bound_is_named(port: int, is_privileged: bool) -> None:
    problem = str(cannot_listen(f"127.0.0.1:{port}"))
    assert ("requires the capability CAP_NET_BIND_SERVICE" in problem) == is_privileged


async def test_a_unix_socket_serves_and_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "ta.sock"
    async with running(listen=f"unix:{path}") as server:
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        response = await server.stub.IssueRtcToken(VALID)
        assert response.issued_token.token
    assert not path.exists()


async def test_a_unix_socket_in_use_is_refused_and_keeps_serving(tmp_path: Path) -> None:
    address = f"unix:{tmp_path / 'ta.sock'}"
    async with running(listen=address) as server:
        with pytest.raises(ListenError, match="another server listens there"):
            async with running(listen=address):
                pass
        await server.stub.IssueRtcToken(VALID)


async def test_a_unix_socket_of_another_program_is_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "other.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        with pytest.raises(ListenError, match="another server listens there"):
            async with running(listen=f"unix:{path}"):
                pass
        assert path.is_socket()


async def test_a_file_at_the_path_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("precious")
    with pytest.raises(ListenError, match="a file or folder is in the way"):
        async with running(listen=f"unix:{path}"):
            pass
    with pytest.raises(ListenError, match="a file or folder is in the way"):
        async with running(listen=f"unix:{tmp_path}"):
            pass
    assert path.read_text() == "precious"


async def test_a_unix_socket_left_by_a_dead_server_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "ta.sock"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    assert path.exists()
    async with running(listen=f"unix:{path}") as server:
        await server.stub.IssueRtcToken(VALID)


async def test_a_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ListenError, match="create the folder"):
        async with running(listen=f"unix:{tmp_path}/no/ta.sock"):
            pass


async def test_an_oversized_request_is_refused() -> None:
    async with running(max_request_bytes=4096) as server:
        fits = IssueRtcTokenRequest(channel_name="c" * 4093)
        assert fits.ByteSize() == 4096
        assert "channel_name" in (await refused(server.stub.IssueRtcToken(fits))).fields
        big = IssueRtcTokenRequest(channel_name="c" * 4094)
        answer = await refused(server.stub.IssueRtcToken(big))
        assert (answer.code, answer.reason) == (StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
        assert answer.metadata["max_bytes"] == "4096"
        assert "max_request_bytes" in answer.message
        await server.stub.IssueRtcToken(VALID)


@pytest.mark.parametrize("size", [65_537, 1_048_577, 1_048_576 + 65_000])
async def test_a_huge_string_to_inspect_is_refused_with_what_to_do(size: int) -> None:
    async with running() as server:
        stub: Any = InspectionServiceStub(server.channel)
        answer = await refused(stub.InspectToken(InspectTokenRequest(token="x" * size)))
        assert (answer.code, answer.reason) == (StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
        assert "InspectToken" in answer.message or answer.fields == ["token"]
        assert server.log[-1]["event"] == "refused"


@pytest.mark.parametrize(
    ("seconds", "nanos"), [(2**63 - 1, 0), (253_402_300_800, 0), (-62_135_596_801, 0), (0, -1)]
)
async def test_a_time_that_is_none_is_refused(seconds: int, nanos: int) -> None:
    async with running() as server:
        stub: Any = InspectionServiceStub(server.channel)
        used = Expected(at_time=Timestamp(seconds=seconds, nanos=nanos))
        answer = await refused(stub.InspectToken(InspectTokenRequest(token="x", expected=used)))
        assert answer.violations == [("expected.at_time", "TIMESTAMP_INVALID")]
        last = Timestamp(seconds=253_402_300_799, nanos=999_999_999)
        await stub.InspectToken(InspectTokenRequest(token="x", expected=Expected(at_time=last)))


async def test_a_request_far_above_the_limit_is_refused_unread() -> None:
    async with running() as server:
        stub: Any = InspectionServiceStub(server.channel)
        answer = await refused(stub.InspectToken(InspectTokenRequest(token="x" * 1_200_000)))
        assert answer.code is StatusCode.RESOURCE_EXHAUSTED
        (line,) = server.log
        assert (line["reason"], line["caller"]) == ("INVALID_REQUEST", "tester")
        assert line["detail"] == "no message, or one far larger than 1048576 bytes"
        await server.stub.IssueRtcToken(VALID)


async def test_one_call_too_many_at_once_is_refused_before_its_body() -> None:
    async with running(max_in_flight=3) as server:
        calls = [HeldCall(server) for _ in range(3)]
        await until(lambda: server.handlers.in_flight.total == 3)
        answer = await refused(HeldCall(server).answer)
        assert (answer.code, answer.reason) == (
            StatusCode.RESOURCE_EXHAUSTED,
            "TOO_MANY_IN_FLIGHT",
        )
        for call in calls:
            call.let_go()
            assert (await call.answer).issued_token.token
        assert (await server.stub.IssueRtcToken(VALID)).issued_token.token


async def test_thousands_of_calls_at_once_are_answered() -> None:
    async with running(max_in_flight=10_000) as server:
        calls = [server.stub.IssueRtcToken(VALID) for _ in range(3000)]
        responses = await asyncio.gather(*calls)
    assert len({response.issued_token.token for response in responses}) == 3000


async def test_draining_answers_calls_until_goaway_and_finishes_what_has_begun() -> None:
    async with running() as server:
        health: Any = health_pb2_grpc.HealthStub(server.channel)
        (held,) = await held_calls(server, 1)
        stopping = asyncio.create_task(server.server.stop(notice_seconds=1, grace_seconds=20))
        await asyncio.sleep(0.1)
        for service in ("", "token_authority.v1.TokenService"):
            response = await health.Check(health_pb2.HealthCheckRequest(service=service))
            assert response.status == NOT_SERVING
        for _ in range(5):
            assert (await server.stub.IssueRtcToken(VALID)).issued_token.token
            await asyncio.sleep(0.1)
        await asyncio.sleep(2)
        # Past the notice the connection takes no call at all; the one that had begun is answered.
        held.let_go()
        assert (await held.answer).issued_token.token
        await asyncio.wait_for(stopping, 5)
        late = await refused(server.stub.IssueRtcToken(VALID))
        assert (late.code, late.reason) == (StatusCode.UNAVAILABLE, "")


async def test_a_call_that_outlasts_the_grace_is_unavailable() -> None:
    async with running() as server:
        (held,) = await held_calls(server, 1)
        await server.server.stop(notice_seconds=0, grace_seconds=0.2)
        assert (await refused(held.answer)).code is StatusCode.UNAVAILABLE


async def test_a_call_in_progress_at_the_end_of_the_grace_is_refused_with_draining() -> None:
    hang = asyncio.Event()

    class Hanging(RateLimiter):
        async def spend(self, caller: str, quota: Quota, tokens: int) -> None:  # noqa: ARG002
            hang.set()
            await asyncio.sleep(60)

    limiter = Hanging("memory", on_degraded=print, on_recovered=print)
    async with running(limiter=limiter) as server:
        call = server.stub.IssueRtcToken(VALID)
        await asyncio.wait_for(hang.wait(), 10)
        await server.server.stop(notice_seconds=0, grace_seconds=0.2)
        answer = await refused(call)
        assert (answer.code, answer.reason) == (StatusCode.UNAVAILABLE, "DRAINING")
        assert answer.details["RetryInfo"].retry_delay.seconds == 1
        assert server.log[-1]["reason"] == "DRAINING"


async def test_a_call_whose_body_is_missing_at_the_end_of_the_grace_is_refused() -> None:
    async with running() as server:
        held = HeldCall(server)
        # Counted from its headers on.
        await until(lambda: server.handlers.in_flight.total == 1)
        await server.server.stop(notice_seconds=0, grace_seconds=0.2)
        answer = await refused(held.answer)
        assert (answer.code, answer.reason) == (StatusCode.UNAVAILABLE, "DRAINING")
        assert server.log[-1]["reason"] == "DRAINING"
        assert server.handlers.in_flight.total == 0


async def test_a_delayed_refusal_is_sent_at_the_end_of_the_grace() -> None:
    async with running() as server:
        await server.stub.IssueRtcToken(VALID)
        caller = server.log[-1]["caller"]
        server.handlers._tarpits[caller] = Tarpit(per_second=0.01, burst=0)
        call = server.stub.IssueRtcToken(IssueRtcTokenRequest())
        await until(lambda: server.log[-1]["event"] == "refused")
        await server.server.stop(notice_seconds=0, grace_seconds=0.2)
        answer = await refused(call)
        assert (answer.code, answer.reason) == (StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")


async def test_a_watcher_that_reads_nothing_holds_up_neither_others_nor_the_stop() -> None:
    async with running() as server:
        host, _, port = server.address.rpartition(":")
        _, writer = await asyncio.open_connection(host, int(port))
        no_window = (4).to_bytes(2) + (0).to_bytes(4)
        headers = request_headers("/grpc.health.v1.Health/Watch", server.address)
        writer.write(
            PREFACE
            + frame(SETTINGS, 0, 0, no_window)
            + frame(HEADERS, END_HEADERS, 1, headers)
            + frame(DATA, END_STREAM, 1, bytes(5))
        )
        await until(lambda: server.server._health._watches)
        health: Any = health_pb2_grpc.HealthStub(server.channel)
        responses = aiter(health.Watch(health_pb2.HealthCheckRequest()))
        assert (await asyncio.wait_for(anext(responses), 5)).status == SERVING
        await asyncio.wait_for(server.server.stop(notice_seconds=0, grace_seconds=0), 5)
        writer.close()


async def test_a_health_watch_ends_before_goaway_and_does_not_hold_up_the_drain() -> None:
    async with running() as server:
        health: Any = health_pb2_grpc.HealthStub(server.channel)
        responses = aiter(health.Watch(health_pb2.HealthCheckRequest()))
        assert (await anext(responses)).status == SERVING
        stopping = asyncio.create_task(server.server.stop(notice_seconds=1, grace_seconds=30))
        with pytest.raises(StopAsyncIteration):
            await asyncio.wait_for(anext(responses), 5)
        # A client watches again at once; without a message it takes its connection for one that is
        # not ready yet.
        again = aiter(health.Watch(health_pb2.HealthCheckRequest()))
        with pytest.raises(StopAsyncIteration):
            await anext(again)
        await asyncio.wait_for(stopping, 5)


async def test_health_tells_what_keeps_an_instance_from_issuing_tokens(server: Running) -> None:
    health: Any = health_pb2_grpc.HealthStub(server.channel)

    async def check(service: str) -> tuple[Any, str]:
        call = health.Check(health_pb2.HealthCheckRequest(service=service))
        status = (await call).status
        metadata: Any = await call.trailing_metadata()
        return status, dict(tuple(metadata)).get("token-authority-not-ready", "")

    token_service = "token_authority.v1.TokenService"
    watch = aiter(health.Watch(health_pb2.HealthCheckRequest(service=token_service)))
    assert (await anext(watch)).status == SERVING
    await server.server.report({"certificate", "audit"})
    assert await check("") == (NOT_SERVING, "audit,certificate")
    assert await check(token_service) == (NOT_SERVING, "audit,certificate")
    for other in ("InspectionService", "AuthorityService"):
        assert (await check(f"token_authority.v1.{other}"))[0] == SERVING
    assert (await anext(watch)).status == NOT_SERVING
    await server.server.report(())
    assert (await anext(watch)).status == SERVING
    assert await check("") == (SERVING, "")
