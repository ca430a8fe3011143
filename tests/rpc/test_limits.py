"""Limits through the wire: rates, batches, calls under way, and Redis that goes and comes."""

import asyncio
from pathlib import Path
from typing import Any, Final

import pytest
from grpc import StatusCode, aio

from support import granting
from support.live import PROJECT, SERVER, caller, live
from support.redis import redis_server
from support.serving import Refused, refused, running
from support.waiting import until
from token_authority.v1.authority_pb2 import GetAuthorityInfoRequest
from token_authority.v1.authority_service_pb2_grpc import AuthorityServiceStub
from token_authority.v1.batch_pb2 import BatchIssueTokensRequest, IssueTokenRequest
from token_authority.v1.inspection_pb2 import InspectTokenRequest
from token_authority.v1.inspection_service_pb2_grpc import InspectionServiceStub
from token_authority.v1.rtc_pb2 import RTC_ROLE_PUBLISHER, IssueRtcTokenRequest
from token_authority.v1.token_service_pb2_grpc import TokenServiceStub
from token_authority_server.identity.directory import Callers

VALID: Final = IssueRtcTokenRequest(channel_name="c", uid=1, role=RTC_ROLE_PUBLISHER)


def limited(**quota: Any) -> Callers:
    return granting.callers(granting.caller(granting.grant(), **quota))


def batch(size: int) -> BatchIssueTokensRequest:
    return BatchIssueTokensRequest(requests=[IssueTokenRequest(rtc=VALID)] * size)


def is_exhausted(refusal: Refused, reason: str, subject: str) -> None:
    """Holds that a refusal says whose quota it was and when to retry."""
    assert (refusal.code, refusal.reason) == (StatusCode.RESOURCE_EXHAUSTED, reason)
    (violation,) = refusal.details["QuotaFailure"].violations
    assert (violation.subject, violation.description) == (subject, refusal.message)
    assert refusal.details["RetryInfo"].retry_delay.ToMilliseconds() > 0


async def test_a_caller_that_has_had_its_tokens_is_told_when_to_retry() -> None:
    async with running(who=limited(rate_limit="3/hour")) as server:
        for _ in range(3):
            await server.stub.IssueRtcToken(VALID)
        refusal = await refused(server.stub.IssueRtcToken(VALID))
        is_exhausted(refusal, "RATE_LIMITED", "callers/tester")
        assert refusal.metadata["rate"] == "3 per 1 hour"
        # Asking, and what is refused anyway, costs nothing and is not held up.
        ask = IssueRtcTokenRequest(
            channel_name="c", uid=1, role=RTC_ROLE_PUBLISHER, validate_only=True
        )
        assert await server.stub.IssueRtcToken(ask)


async def test_inspections_and_validations_share_a_rate_of_their_own() -> None:
    who = limited(rate_limit="2/hour", inspect_rate_limit="4/hour")
    ask = IssueRtcTokenRequest(channel_name="c", uid=1, role=RTC_ROLE_PUBLISHER, validate_only=True)
    async with running(who=who) as server:
        inspection: Any = InspectionServiceStub(server.channel)
        await inspection.InspectToken(InspectTokenRequest(token="x"))
        await server.stub.IssueRtcToken(ask)
        asked = batch(2)
        asked.validate_only = True
        assert len((await server.stub.BatchIssueTokens(asked)).decisions) == 2
        for call in (
            inspection.InspectToken(InspectTokenRequest(token="x")),
            server.stub.IssueRtcToken(ask),
            server.stub.BatchIssueTokens(asked),
        ):
            refusal = await refused(call)
            is_exhausted(refusal, "RATE_LIMITED", "callers/tester")
            assert refusal.message.startswith("inspect rate limit exceeded for caller 'tester'")
        # Neither rate counts what the other one does.
        assert len((await server.stub.BatchIssueTokens(batch(2))).issued_tokens) == 2
        assert (await refused(server.stub.IssueRtcToken(VALID))).reason == "RATE_LIMITED"
        info: Any = AuthorityServiceStub(server.channel)
        limits = (await info.GetAuthorityInfo(GetAuthorityInfoRequest())).limits
        assert (limits.rates, limits.inspect_rates) == (["2 per 1 hour"], ["4 per 1 hour"])


async def test_a_rate_recovers() -> None:
    async with running(who=limited(rate_limit="20/3 seconds")) as server:
        # On a busy machine, time that passes between two calls allows another.
        calls = [server.stub.IssueRtcToken(VALID) for _ in range(40)]
        codes = [await call.code() for call in calls]
        assert codes.count(StatusCode.OK) in range(20, 40)
        refusal = await refused(calls[codes.index(StatusCode.RESOURCE_EXHAUSTED)])
        await asyncio.sleep(refusal.details["RetryInfo"].retry_delay.ToMilliseconds() / 1000)
        assert await server.stub.IssueRtcToken(VALID)


async def test_a_batch_counts_its_tokens_and_is_taken_whole_or_not_at_all() -> None:
    async with running(who=limited(rate_limit="10/hour")) as server:
        await server.stub.BatchIssueTokens(batch(8))
        refusal = await refused(server.stub.BatchIssueTokens(batch(3)))
        is_exhausted(refusal, "RATE_LIMITED", "callers/tester")
        assert refusal.metadata["tokens"] == "3"
        # The batch that was refused was not charged.
        assert len((await server.stub.BatchIssueTokens(batch(2))).issued_tokens) == 2


async def test_a_batch_that_can_never_pass_is_not_to_be_retried() -> None:
    async with running(who=limited(rate_limit="10/hour")) as server:
        refusal = await refused(server.stub.BatchIssueTokens(batch(11)))
        assert (refusal.code, refusal.reason) == (
            StatusCode.INVALID_ARGUMENT,
            "BATCH_EXCEEDS_LIMIT",
        )
        assert refusal.metadata["max_batch"] == "10"
        assert "RetryInfo" not in refusal.details
        assert len((await server.stub.BatchIssueTokens(batch(10))).issued_tokens) == 10


class Gate:
    """A trail that takes a record when it is let go, so that calls stay under way."""

    is_enabled = True

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.waiting = 0

    def encode(self, record: object) -> str:
        assert record
        return "{"

    async def persist(self, bodies: object) -> None:
        assert bodies
        self.waiting += 1
        await self.event.wait()

    def record_soon(self, records: object) -> None:
        assert records

    def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize("bound", ["caller", "server"])
async def test_calls_under_way_are_bounded(bound: str) -> None:
    gate: Any = Gate()
    who = limited(max_in_flight=3) if bound == "caller" else limited()
    most = 800 if bound == "caller" else 3
    async with running(who=who, max_in_flight=most, trail=gate) as server:
        held = [asyncio.ensure_future(server.stub.IssueRtcToken(VALID)) for _ in range(3)]
        await until(lambda: gate.waiting == 3)
        refusal = await refused(server.stub.IssueRtcToken(VALID))
        subject = "callers/tester" if bound == "caller" else "server"
        is_exhausted(refusal, "TOO_MANY_IN_FLIGHT", subject)
        assert refusal.metadata["bound"] == bound
        assert b"\ntoken_authority_calls_in_flight 3.0\n" in server.metrics.exposition()
        gate.event.set()
        await asyncio.gather(*held)
        assert b"\ntoken_authority_calls_in_flight 0.0\n" in server.metrics.exposition()
        assert await server.stub.IssueRtcToken(VALID)


async def test_calls_that_are_given_up_count_no_more() -> None:
    gate: Any = Gate()
    async with running(who=limited(max_in_flight=2), trail=gate) as server:
        held = [server.stub.IssueRtcToken(VALID) for _ in range(2)]
        await until(lambda: gate.waiting == 2)
        for call in held:
            call.cancel()
        gate.event.set()

        async def passes() -> bool:
            try:
                await server.stub.IssueRtcToken(VALID)
            except aio.AioRpcError:
                return False
            return True

        async with asyncio.timeout(10):
            while not await passes():
                pass


DEGRADED: Final = 'token_authority_degraded{component="limits"}'


async def test_redis_goes_and_comes_under_a_live_server(tmp_path: Path) -> None:
    text = SERVER + PROJECT + caller("local", more='rate_limit = "10000/hour"')
    async with redis_server("a-redis-password") as redis:
        (tmp_path / "redis").write_text(redis.url)
        limits = '[limits]\nredis = { file = "redis" }\n'
        async with (
            live(tmp_path, text + limits) as server,
            aio.insecure_channel(server.address) as channel,
        ):
            stub: Any = TokenServiceStub(channel)
            await stub.IssueRtcToken(VALID)
            assert await redis.command("DBSIZE")
            assert await server.health() == {"status": "SERVING", "degraded": {}}
            assert await server.metric("token_authority_redis_up") == 1
            await redis.kill()
            for _ in range(5):
                await stub.IssueRtcToken(VALID)
            await until(lambda: server.events("degraded"))
            problem = (await server.health())["degraded"]["limits"]
            assert problem == f"Redis at 127.0.0.1:{redis.port} cannot be reached"
            assert await server.metric(DEGRADED) == 1
            assert "\ntoken_authority_redis_up 0.0\n" in await server.page("/metrics")
            await redis.start()

            async with asyncio.timeout(10):
                while not server.events("recovered"):
                    await stub.IssueRtcToken(VALID)
                    await asyncio.sleep(0.05)
            assert await server.health() == {"status": "SERVING", "degraded": {}}
            assert await server.metric(DEGRADED) == 0
            assert await redis.command("DBSIZE")
            assert len(server.events("degraded")) == 1
    assert "a-redis-password" not in server.output
