"""Faults of a server that serves, as its health shows them without a call."""

import asyncio
import fcntl
import json
import os
import shutil
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from support.certificates import write_tls
from support.commands import run
from support.live import BEARER, BY_KEY, BY_PLACE, PROJECT, SERVER, Live, live
from support.serving import refused, write_config
from support.small_disk import run_with_disk
from support.waiting import until_await
from token_authority.v1.rtc_pb2 import RTC_ROLE_PUBLISHER, IssueRtcTokenRequest
from token_authority.v1.token_service_pb2_grpc import TokenServiceStub
from token_authority_server.audit import AuditTrail, FileSink, verify

TESTS = Path(__file__).parents[1]
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
VALID = IssueRtcTokenRequest(channel_name="c", uid=1, role=RTC_ROLE_PUBLISHER)
REQUIRED = '[audit]\nfile = "trail/audit.jsonl"\nrequired = true\n'
TLS = '[server.tls]\ncertificate = "tls.pem"\nprivate_key = "tls.key"\n'


async def statuses(channel: Any) -> dict[str, Any]:
    """What grpc.health.v1 says of each service."""
    stub: Any = health_pb2_grpc.HealthStub(channel)
    names = [
        "",
        *[f"token_authority.v1.{name}Service" for name in ("Token", "Inspection", "Authority")],
    ]
    return {
        name.rpartition(".")[2]: (
            await stub.Check(health_pb2.HealthCheckRequest(service=name))
        ).status
        for name in names
    }


@asynccontextmanager
async def plain(folder: Path, text: str) -> AsyncGenerator[tuple[Live, Any]]:
    async with live(folder, text) as server, aio.insecure_channel(server.address) as channel:
        yield server, channel


async def test_a_required_trail_without_its_folder_is_found_and_cleared_without_a_call(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "trail"
    folder.mkdir()
    async with plain(tmp_path, SERVER + REQUIRED + PROJECT + BY_PLACE) as (server, channel):
        assert set((await statuses(channel)).values()) == {SERVING}
        shutil.rmtree(folder)
        await server.until_ready(is_ready=False)
        health = await server.health()
        assert health["not_ready"] == ["audit"]
        assert "No such file or directory" in health["degraded"]["audit"]
        assert "ok" in await server.page("/livez")
        await asyncio.sleep(0.6)
        assert await statuses(channel) == {
            "": NOT_SERVING,
            "TokenService": NOT_SERVING,
            "InspectionService": SERVING,
            "AuthorityService": SERVING,
        }
        doctor = await run("doctor", "--target", server.address)
        assert doctor.code != 0
        assert "audit trail" in doctor.out
        folder.mkdir()
        await server.until_ready(is_ready=True)
        await asyncio.sleep(0.6)
        assert set((await statuses(channel)).values()) == {SERVING}
        await TokenServiceStub(channel).IssueRtcToken(VALID)
    assert (await run("audit", "verify", str(folder / "audit.jsonl"))).code == 0


async def test_a_rotation_to_a_file_that_cannot_be_used_is_not_ready_until_it_can(
    tmp_path: Path,
) -> None:
    """The renamed file stays in use: no record is lost, and no second SIGHUP is needed."""
    folder = tmp_path / "trail"
    folder.mkdir()
    new, old = folder / "audit.jsonl", folder / "audit.jsonl.1"
    issued = 0

    async def issue(channel: Any) -> None:
        nonlocal issued
        await TokenServiceStub(channel).IssueRtcToken(VALID)
        issued += 1

    async with plain(tmp_path, SERVER + REQUIRED + PROJECT + BY_PLACE) as (server, channel):
        await issue(channel)
        new.rename(old)
        new.mkdir()
        server.hang_up()
        await server.until_ready(is_ready=False)
        health = await server.health()
        assert health["not_ready"] == ["audit"]
        assert f"{new}: Is a directory" in health["degraded"]["audit"]
        done = asyncio.Event()

        async def work() -> None:
            while not done.is_set():
                await issue(channel)

        workers = [asyncio.create_task(work()) for _ in range(4)]
        await asyncio.sleep(1.5)
        assert not any(worker.done() for worker in workers)
        new.rmdir()
        assert await server.until_ready(is_ready=True) < 2
        done.set()
        await asyncio.gather(*workers)
        await issue(channel)
    lines = [path.read_text().splitlines() for path in (old, new)]
    assert min(map(len, lines)) > 1
    records = [json.loads(line) for line in chain.from_iterable(lines)]
    assert [record["seq"] for record in records] == list(range(1, len(records) + 1))
    tokens = [record["token_id"] for record in records if record["event"] == "issued"]
    assert len(tokens) == len(set(tokens)) == issued
    assert verify([old, new]).problem is None


async def test_a_trail_that_is_not_required_is_degraded_and_ready(tmp_path: Path) -> None:
    folder = tmp_path / "trail"
    folder.mkdir()
    text = SERVER + REQUIRED.replace("required = true", "") + PROJECT + BY_PLACE
    async with plain(tmp_path, text) as (server, channel):
        shutil.rmtree(folder)

        async def degraded() -> bool:
            return "audit" in (await server.health())["degraded"]

        await until_await(degraded)
        assert (await server.health())["status"] == "SERVING"
        await TokenServiceStub(channel).IssueRtcToken(VALID)


async def test_a_trail_that_stalls_is_not_ready_until_it_moves(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    text = SERVER + "[audit]\nstdout = true\nrequired = true\n" + PROJECT + BY_PLACE
    async with (
        live(tmp_path, text, stdout=writer) as server,
        aio.insecure_channel(server.address) as channel,
    ):
        os.close(writer)
        stub = TokenServiceStub(channel)
        # None of these calls waits until the server gives up the trail.
        calls = [refused(stub.IssueRtcToken(VALID, timeout=0.3)) for _ in range(20)]
        await asyncio.gather(*calls, return_exceptions=True)
        await server.until_ready(is_ready=False)
        health = await server.health()
        assert health["not_ready"] == ["audit"]
        assert health["degraded"]["audit"] == "the audit trail has not responded for 1 s"
        reading = asyncio.create_task(asyncio.to_thread(Path(f"/dev/fd/{reader}").read_bytes))
        await server.until_ready(is_ready=True)
        await stub.IssueRtcToken(VALID)
    assert b'"issued"' in await reading
    os.close(reader)


@pytest.mark.needs("loop device")
@pytest.mark.parametrize("fault", ["stalled", "read-only"])
def test_a_disk_of_its_own_that_fails_is_not_ready_until_it_works(
    tmp_path: Path, fault: str
) -> None:
    code, output = run_with_disk(tmp_path, TESTS / "process" / "failing_disk.py", fault)
    assert (code, output.splitlines()[-1]) == (0, "ready"), output


def short_lived(folder: Path, seconds: float) -> bytes:
    """Writes a certificate that expires soon; returns who signed it."""
    ca = trustme.CA()
    issued = ca.issue_cert(
        "localhost", "127.0.0.1", not_after=datetime.now(UTC) + timedelta(seconds=seconds)
    )
    chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
    (folder / "tls.pem").write_bytes(chain)
    (folder / "tls.key").write_bytes(issued.private_key_pem.bytes())
    return ca.cert_pem.bytes()


async def test_an_expired_certificate_is_not_ready_until_it_is_renewed(tmp_path: Path) -> None:
    short_lived(tmp_path, 6)
    async with live(tmp_path, SERVER + TLS + PROJECT + BY_KEY) as server:
        name = 'token_authority_certificate_not_after_timestamp_seconds{certificate="server"}'
        assert abs(await server.metric(name) - time.time()) < 10
        assert any("the certificate expires on" in line["event"] for line in server.log)
        await server.until_ready(is_ready=False)
        health = await server.health()
        assert health["not_ready"] == ["certificate"]
        assert "the certificate expired on" in health["degraded"]["certificate"]
        ca = write_tls(tmp_path)
        await server.until_ready(is_ready=True)
        assert await server.metric(name) > time.time() + 86_400
        credentials = grpc.ssl_channel_credentials(ca)
        async with aio.secure_channel(server.address, credentials) as channel:
            await TokenServiceStub(channel).IssueRtcToken(VALID, metadata=BEARER)


async def test_check_config_warns_of_a_certificate_that_expires(tmp_path: Path) -> None:
    path = write_config(tmp_path, SERVER + TLS + PROJECT + BY_KEY)
    short_lived(tmp_path, 86_400)
    ran = await run("check-config", str(path))
    assert ran.code == 0
    assert "server.tls: the certificate expires on" in ran.err
    short_lived(tmp_path, -3600)
    ran = await run("check-config", str(path))
    assert ran.code == 0
    assert "server.tls: the certificate expired on" in ran.err


async def test_no_active_key_and_a_clock_behind_the_trail_are_degraded_and_ready(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "trail"
    folder.mkdir()

    def later() -> int:
        return int(time.time() * 1000) + 3_600_000

    earlier = AuditTrail(
        [FileSink(folder / "audit.jsonl", "never", "a" * 32)],
        required=False,
        clock=later,
        on_failure=print,
        on_recovery=print,
    )
    await earlier.record([{"event": "issued"}])
    earlier.close()
    text = SERVER + REQUIRED + PROJECT.replace('"active"', '"disabled"') + BY_PLACE
    async with plain(tmp_path, text) as (server, channel):

        async def known() -> bool:
            return len((await server.health())["degraded"]) == 2

        await until_await(known)
        health = await server.health()
        assert health["status"] == "SERVING"
        assert "behind the newest audit record" in health["degraded"]["clock"]
        assert health["degraded"]["keys"] == "no key is active: projects.classroom.agora"
        assert await server.metric('token_authority_degraded{component="keys"}') == 1
        assert set((await statuses(channel)).values()) == {SERVING}
        answer = await refused(TokenServiceStub(channel).IssueRtcToken(VALID))
        assert answer.reason == "NO_ACTIVE_KEY"


async def test_probes_have_a_listener_without_metrics(tmp_path: Path) -> None:
    text = SERVER.replace("[server]", '[server]\nhealth_listen = "127.0.0.1:0"')
    async with live(tmp_path, text + PROJECT + BY_PLACE) as server:
        admin = server.admin
        server.admin = server.events("serving")[0]["health"]
        assert server.admin != admin
        assert json.loads(await server.page("/readyz"))["status"] == "SERVING"
        assert await server.page("/livez") == "ok\n"
        assert "token_authority" not in await server.page("/metrics")
