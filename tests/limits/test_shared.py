import asyncio
import signal
import ssl
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from unittest.mock import ANY

import pytest
import trustme

from support.redis import RedisProcess, redis_server
from token_authority_server.errors import Reason, Refusal
from token_authority_server.limits import Quota, RateLimiter

PASSWORD = "hunter2"
HOURLY = Quota.parse("10/hour")
BOTH = Quota.parse("10/hour; 7/minute")
PATIENT = 5.0
"""For tests in which Redis is there: the machine may be slow, and that is not what they test."""


class Replica:
    """A limiter with what it said."""

    def __init__(self, url: str, timeout_seconds: float = PATIENT) -> None:
        self.said: list[str] = []
        self.limits = RateLimiter(
            url,
            on_degraded=self.said.append,
            on_recovered=lambda: self.said.append("recovered"),
            clock=lambda: time.monotonic() + self.later,
            timeout_seconds=timeout_seconds,
        )
        self.later = 0.0

    async def got(self, wanted: int, quota: Quota = HOURLY, tokens: int = 1) -> int:
        """How many of so many calls, one after the other, were let through."""
        return sum([await self._passes(quota, tokens) for _ in range(wanted)])

    async def _passes(self, quota: Quota, tokens: int) -> bool:
        try:
            await self.limits.spend("web", quota, tokens)
        except Refusal as refused:
            return refused.reason is not Reason.RATE_LIMITED
        return True


@pytest.fixture
async def redis() -> AsyncGenerator[RedisProcess]:
    async with redis_server(PASSWORD) as server:
        yield server


@pytest.fixture
async def replica(redis: RedisProcess) -> AsyncGenerator[Replica]:
    made = Replica(redis.url)
    yield made
    await made.limits.close()


async def test_replicas_share_a_quota(redis: RedisProcess, replica: Replica) -> None:
    other = Replica(redis.url)
    assert await replica.got(6) == 6
    assert await other.got(6) == 4
    assert await replica.got(1) == 0
    assert replica.said == other.said == []
    await other.limits.close()


async def test_replicas_together_never_give_more(redis: RedisProcess, replica: Replica) -> None:
    other = Replica(redis.url)
    quota = Quota.parse("60/hour")
    passed = await asyncio.gather(
        *(each.got(1, quota) for _ in range(50) for each in (replica, other))
    )
    assert sum(passed) == 60
    assert replica.said == other.said == []
    await other.limits.close()


async def test_keys_have_a_prefix_and_end(redis: RedisProcess, replica: Replica) -> None:
    await replica.got(1, BOTH)
    keys = await redis.command("KEYS", "*")
    assert sorted(keys) == ["token-authority:{web/10/3600}", "token-authority:{web/7/60}"]
    assert all([0 < await redis.command("TTL", key) <= 7200 for key in keys])


async def test_a_refusal_costs_nothing_on_any_rate(replica: Replica) -> None:
    assert await replica.got(1, BOTH, tokens=6) == 1
    assert await replica.got(20, BOTH, tokens=2) == 0
    assert await replica.got(1, HOURLY, tokens=4) == 1


async def test_waiting_as_told_is_enough(replica: Replica) -> None:
    # The next lines need less than two seconds, also on a busy machine.
    quota = Quota.parse("4/2 seconds")
    assert await replica.got(1, quota, tokens=4) == 1
    for tokens in (1, 2):
        with pytest.raises(Refusal) as caught:
            await replica.limits.spend("web", quota, tokens)
        assert caught.value.retry_after_seconds
        assert 0 < caught.value.retry_after_seconds <= 2.1
        await asyncio.sleep(caught.value.retry_after_seconds)
        assert await replica.got(1, quota, tokens) == 1


async def test_idle_time_does_not_save_up_tokens(replica: Replica) -> None:
    # The next lines need less than two seconds, also on a busy machine.
    quota = Quota.parse("4/2 seconds")
    assert await replica.got(1, quota, tokens=4) == 1
    await asyncio.sleep(4.01)
    assert await replica.got(1, quota, tokens=4) == 1
    assert await replica.got(1, quota) == 0


async def test_while_redis_is_killed_each_replica_limits_by_itself(
    redis: RedisProcess, replica: Replica
) -> None:
    assert await replica.got(3) == 3
    up = [replica.limits.redis_up]
    await redis.kill()
    assert await replica.got(15) == 10
    up.append(replica.limits.redis_up)
    assert replica.said == [f"Redis at 127.0.0.1:{redis.port} cannot be reached"]
    # Tried again after the pause, in vain, and not said again.
    replica.later += 1.1
    assert await replica.got(5) == 0
    assert len(replica.said) == 1
    await redis.start()
    # Not asked before the pause is over.
    assert await replica.got(1) == 0
    assert len(replica.said) == 1
    replica.later += 1.1
    assert await replica.got(15) == 10
    assert replica.said[1:] == ["recovered"]
    assert [*up, replica.limits.redis_up] == [True, False, True]


async def test_a_restart_between_two_calls_is_not_noticed(
    redis: RedisProcess, replica: Replica
) -> None:
    assert await replica.got(3) == 3
    await redis.kill()
    await redis.start()
    assert await replica.got(15) == 10
    assert replica.said == []


async def test_while_redis_hangs_no_call_waits_long(redis: RedisProcess) -> None:
    replica = Replica(redis.url, timeout_seconds=0.3)
    assert await replica.got(1) == 1
    redis.send(signal.SIGSTOP)
    started = time.monotonic()
    first = await asyncio.gather(*(replica.got(1) for _ in range(50)))
    waited = time.monotonic() - started
    rest = await asyncio.gather(*(replica.got(1) for _ in range(50)))
    assert time.monotonic() - started - waited < 0.2
    assert 0.3 <= waited < 1.5
    assert sum(first) + sum(rest) == 10
    assert replica.said == [f"Redis at 127.0.0.1:{redis.port} did not answer within 300 ms"]
    # When the pause is over, one call asks, and the others do not wait for it.
    replica.later += 1.1
    started = time.monotonic()
    probe = asyncio.create_task(replica.got(1))
    await asyncio.sleep(0)
    assert await replica.got(5) == 0
    assert not probe.done()
    assert await probe == 0
    assert len(replica.said) == 1
    redis.send(signal.SIGCONT)
    patient = Replica(redis.url)
    await patient.got(1, Quota.parse("1/hour"))  # Redis is done with what had piled up.
    replica.later += 1.1
    await replica.got(1)
    assert replica.said[1:] == ["recovered"]
    # What Redis had been sent when it hung has cost something, so at most what was left.
    assert await replica.got(15) + 2 <= 10
    await replica.limits.close()
    await patient.limits.close()


async def test_redis_has_a_tenth_of_a_second(redis: RedisProcess) -> None:
    redis.send(signal.SIGSTOP)
    said: list[str] = []
    limits = RateLimiter(redis.url, on_degraded=said.append, on_recovered=said.clear)
    started = time.monotonic()
    await limits.spend("web", BOTH, 1)
    assert 0.1 <= time.monotonic() - started < 1
    assert said == [f"Redis at 127.0.0.1:{redis.port} did not answer within 100 ms"]
    await limits.close()


async def test_a_wrong_password_is_reported_without_it(redis: RedisProcess) -> None:
    replica = Replica(redis.url.replace(PASSWORD, "swordfish"))
    assert await replica.got(15) == 10
    assert replica.said == [f"Redis at 127.0.0.1:{redis.port} refuses the credentials"]
    assert "swordfish" not in f"{replica.limits!r} {replica.limits.__dict__}"
    none = Replica(redis.url.replace(f":{PASSWORD}@", ""))
    assert await none.got(15) == 10
    assert none.said == replica.said
    await replica.limits.close()
    await none.limits.close()


@asynccontextmanager
async def behind_tls(certificate: trustme.LeafCert, redis: RedisProcess) -> AsyncGenerator[int]:
    """A port that takes TLS for the server, whose build has none."""

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream = await asyncio.open_connection("127.0.0.1", redis.port)
        await asyncio.gather(copy(reader, upstream[1]), copy(upstream[0], writer))

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    async with await asyncio.start_server(forward, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]


async def test_redis_is_asked_over_tls_and_must_be_the_right_one(
    redis: RedisProcess, tmp_path: Path
) -> None:
    right, foreign = trustme.CA(), trustme.CA()
    for name, authority in (("right", right), ("foreign", foreign)):
        authority.cert_pem.write_to_path(str(tmp_path / name))
    async with behind_tls(right.issue_cert("127.0.0.1"), redis) as port:
        url = f"rediss://:{PASSWORD}@127.0.0.1:{port}/2?ssl_ca_certs={tmp_path}/"
        trusting, other = Replica(f"{url}right"), Replica(f"{url}foreign")
        assert await trusting.got(15) == 10
        assert trusting.said == []
        assert await other.got(15) == 10
        assert other.said == [f"Redis at 127.0.0.1:{port} cannot be reached"]
        await trusting.limits.close()
        await other.limits.close()
    assert await redis.command("INFO", "keyspace") == {"db2": ANY}


async def test_an_error_of_redis_is_not_quoted(redis: RedisProcess, replica: Replica) -> None:
    await redis.command("SET", "token-authority:{web/10/3600}", "no number")
    assert await replica.got(15) == 10
    assert replica.said == [
        f"Redis at 127.0.0.1:{redis.port} answers with an error (ResponseError)"
    ]


async def test_what_began_before_a_failure_does_not_say_that_it_is_over(
    redis: RedisProcess, replica: Replica
) -> None:
    await asyncio.gather(replica.got(1, BOTH), replica.got(1, BOTH))  # Two connections.
    await redis.command("SET", "token-authority:{web/5/60}", "no number")
    # One answer fails the second, while the first waits for four.
    other = Quota.parse("5/minute")
    assert sum(await asyncio.gather(replica.got(1, BOTH), replica.got(1, other))) == 2
    (told,) = replica.said
    assert "answers with an error" in told


async def test_something_else_on_the_port_fails_no_call() -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        replica = Replica(f"redis://:{PASSWORD}@127.0.0.1:{port}")
        assert await replica.got(15) == 10
        assert len(replica.said) == 1
        assert PASSWORD not in replica.said[0]
        await replica.limits.close()


async def test_redis_need_not_be_there_at_the_start() -> None:
    async with redis_server() as server:
        await server.kill()
        replica = Replica(server.url)
        assert await replica.got(15) == 10
        await server.start()
        replica.later += 1.1
        assert await replica.got(15) == 10
        assert replica.said[1:] == ["recovered"]
        await replica.limits.close()


async def test_a_cancelled_call_is_no_failure_of_redis(
    redis: RedisProcess, replica: Replica
) -> None:
    assert await replica.got(1) == 1
    redis.send(signal.SIGSTOP)
    calls = [asyncio.create_task(replica.got(1)) for _ in range(5)]
    await asyncio.sleep(0.05)
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    assert all(call.cancelled() for call in calls)
    redis.send(signal.SIGCONT)
    # Answers to cancelled calls are nobody else's.
    assert 4 <= await replica.got(15) <= 9
    assert replica.said == []


async def test_closing_leaves_no_connection(redis: RedisProcess, replica: Replica) -> None:
    await asyncio.gather(*(replica.got(1) for _ in range(100)))
    clients = (await redis.command("CLIENT", "LIST")).splitlines()
    assert 1 < len(clients) <= 33
    await replica.limits.close()
    assert len((await redis.command("CLIENT", "LIST")).splitlines()) == 1
    assert asyncio.all_tasks() == {asyncio.current_task()}
