"""Instances that share a port by SO_REUSEPORT."""

import asyncio
import json
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from grpc import StatusCode, aio

from support.commands import run
from support.granting import LESSONS
from support.load import load
from support.ports import free_port
from support.redis import redis_server
from support.serving import CONFIG, ServerProcess, running, serving, write_config
from support.waiting import until
from token_authority.v1.rtc_pb2 import RTC_ROLE_PUBLISHER, IssueRtcTokenRequest
from token_authority.v1.token_service_pb2_grpc import TokenServiceStub
from token_authority_client import AsyncTokenAuthorityClient
from token_authority_server import config
from token_authority_server.rpc.unix_socket import ListenError

CALL: Final = IssueRtcTokenRequest(
    project="classroom", channel_name="c", uid=1, role=RTC_ROLE_PUBLISHER
)
NAMES: Final = ("one", "two")
MAX_CONNECTIONS: Final = 64
"""Two instances each get one of so many connections, but for one time in 2**63."""


def audit_file(folder: Path, name: str) -> Path:
    return folder / f"audit-{name}.jsonl"


def issued(folder: Path, name: str) -> list[dict[str, Any]]:
    """Returns an instance's records of issued tokens."""
    lines = audit_file(folder, name).read_text().splitlines()
    return [record for record in map(json.loads, lines) if record["event"] == "issued"]


def one_file(folder: Path, more: str = "") -> Path:
    """Writes the configuration that all instances read."""
    text = CONFIG.replace("127.0.0.1:0", f"127.0.0.1:{free_port()}")
    return write_config(folder, text + more)


@asynccontextmanager
async def instance(path: Path, name: str) -> AsyncGenerator[ServerProcess]:
    """Runs an instance; as in the systemd unit, its environment names its files and addresses."""
    environment = {
        "TOKEN_AUTHORITY__AUDIT__FILE": audit_file(path.parent, name).name,
        "TOKEN_AUTHORITY__SERVER__ADMIN_LISTEN": "127.0.0.1:0",
    }
    arguments = ("--config", str(path), "--reuse-port")
    async with serving(*arguments, environment=environment) as server:
        yield server


async def call_on_new_connections(address: str, connections: int, calls: int) -> list[str]:
    """Makes calls on each of some connections; returns the tokens; "" for RESOURCE_EXHAUSTED."""
    tokens = []
    # Else channels to one address share a connection.
    options = [("grpc.use_local_subchannel_pool", 1)]
    for _ in range(connections):
        async with aio.insecure_channel(address, options=options) as channel:
            stub: Any = TokenServiceStub(channel)
            for _ in range(calls):
                call = stub.IssueRtcToken(CALL)
                if (await call.code()) is StatusCode.RESOURCE_EXHAUSTED:
                    tokens.append("")
                else:
                    tokens.append((await call).issued_token.token)
    return tokens


async def test_instances_share_a_port_and_their_audit_files_are_read_together(
    tmp_path: Path,
) -> None:
    path = one_file(tmp_path)
    files = [str(audit_file(tmp_path, name)) for name in NAMES]
    async with instance(path, "one") as one, instance(path, "two") as two:
        assert one.address == two.address
        tokens = await call_on_new_connections(one.address, MAX_CONNECTIONS, 1)
        assert await one.stop() == await two.stop() == 0
    each = [issued(tmp_path, name) for name in NAMES]
    assert all(each)
    assert sum(map(len, each)) == len(set(tokens)) == MAX_CONNECTIONS
    found = await run("audit", "find", "-", *files, stdin=tokens[0].encode())
    assert found.code == 0
    assert "caller: tester" in found.out
    verified = await run("audit", "verify", "--trail", files[0], "--trail", files[1])
    assert verified.code == 0
    assert verified.out.count("the hash chain is unbroken") == 2


@pytest.mark.parametrize("first", [True, False])
async def test_a_port_is_shared_only_if_both_instances_allow_it(first: bool) -> None:
    async with running(reuse_port=first) as server:
        with pytest.raises(ListenError, match="another process listens there"):
            async with running(listen=server.address, reuse_port=not first):
                pass
        response = await server.stub.IssueRtcToken(CALL)
        assert response.issued_token.token


async def test_an_instance_without_files_and_addresses_of_its_own_does_not_start(
    tmp_path: Path,
) -> None:
    path = one_file(tmp_path)
    async with instance(path, "one") as one:
        serving_line = next(line for line in one.stderr.splitlines() if '"serving"' in line)
        admin = json.loads(serving_line)["admin"]
        serve = ("serve", "--config", str(path), "--reuse-port")
        file = audit_file(tmp_path, "one")
        same_file = await run(*serve, TOKEN_AUTHORITY__AUDIT__FILE=str(file))
        assert same_file.code == 2
        assert "configure a separate file for each server" in same_file.err
        same_admin = await run(*serve, TOKEN_AUTHORITY__SERVER__ADMIN_LISTEN=admin)
        assert same_admin.code == 2
        assert f"cannot listen on {admin}: Address already in use" in same_admin.err


async def test_rate_limits_in_redis_are_exact_across_instances(tmp_path: Path) -> None:
    limited = 'identities = ["local"]\nrate_limit = "40/hour"'
    async with redis_server() as redis:
        path = one_file(tmp_path, '[limits]\nredis = { file = "redis-url" }\n')
        path.write_text(path.read_text().replace('identities = ["local"]', limited))
        (tmp_path / "redis-url").write_text(redis.url)
        async with instance(path, "one") as one, instance(path, "two"):
            tokens = await call_on_new_connections(one.address, 30, 2)
    assert len(tokens) == 60
    assert len(list(filter(None, tokens))) == 40
    each = [issued(tmp_path, name) for name in NAMES]
    assert all(each)
    assert sum(map(len, each)) == 40


def test_limits_that_hold_per_instance_are_a_warning(tmp_path: Path) -> None:
    shared = CONFIG.replace("[log]", "reuse_port = true\n[log]")
    limit = LESSONS.replace("[[callers]]", '[[callers]]\nrate_limit = "9/second"')
    redis = '[limits]\nredis = { env = "REDIS_URL" }\n'

    def warnings(text: str) -> list[str]:
        path = write_config(tmp_path, text)
        return list(config.load(path, {"REDIS_URL": "redis://127.0.0.1"}).warnings())

    (warning,) = warnings(shared + limit)
    assert "each instance counts rate limits separately" in warning
    inspections = limit.replace("rate_limit", "inspect_rate_limit")
    assert warnings(shared + inspections) == [warning]
    for harmless in (shared, CONFIG + limit, shared + limit + redis):
        assert not warnings(harmless)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=lambda how: how.name)
async def test_an_instance_that_ends_fails_no_call_of_the_shipped_client(
    how: signal.Signals, tmp_path: Path
) -> None:
    path = one_file(tmp_path)
    async with instance(path, "one") as one, instance(path, "two") as two:
        processes = {"one": one, "two": two}
        async with AsyncTokenAuthorityClient(
            one.address, timeout=timedelta(seconds=10), project="classroom"
        ) as client:

            async def issue() -> None:
                await client.issue_rtc_token(channel="c", uid=1, role="publisher")

            await issue()
            done = asyncio.Event()
            calls = asyncio.create_task(load(issue, 200, done))
            # All calls share a connection: end the instance that has it.
            (answering,) = [name for name in NAMES if issued(tmp_path, name)]
            (other,) = set(NAMES) - {answering}
            await until(lambda: len(issued(tmp_path, answering)) > 50)
            await processes[answering].stop(how)
            await until(lambda: len(issued(tmp_path, other)) > 50)
            done.set()
            outcome = await calls
    assert not outcome.failures
    assert outcome.calls > 100


async def test_development_servers_cannot_share_a_port() -> None:
    ran = await run("serve", "--dev", "--reuse-port")
    assert ran.code == 2
    assert "--reuse-port requires --config" in ran.err
