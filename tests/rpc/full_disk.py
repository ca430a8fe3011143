"""Serves with a required trail on a disk that fills up. Run by support.small_disk.run_on."""

import asyncio
import sys
from pathlib import Path
from typing import Final

from grpc import StatusCode, aio

from support.live import BY_PLACE, PROJECT, SERVER, Live, live
from support.serving import refused
from support.small_disk import SmallDisk
from support.waiting import until
from token_authority.v1.rtc_pb2 import RTC_ROLE_PUBLISHER, IssueRtcTokenRequest
from token_authority.v1.token_service_pb2_grpc import TokenServiceStub

VALID: Final = IssueRtcTokenRequest(
    channel_name="lesson-1", user_account="u" * 200, role=RTC_ROLE_PUBLISHER
)
DEGRADED: Final = 'token_authority_degraded{component="audit"}'


async def fill(server: Live, stub: object) -> list[str]:
    """Issues tokens until the disk is full; returns the ids of those that left."""
    left: list[str] = []
    for _ in range(300):
        try:
            answer = await stub.IssueRtcToken(VALID)  # type: ignore[attr-defined]
        except aio.AioRpcError as error:
            if error.code() is not StatusCode.UNAVAILABLE:
                raise
            await until(lambda: server.events("degraded"))
            break
        left.append(answer.issued_token.token_id)
    assert len(left) < 300
    return left


async def main(disk: str, folder: Path, fsync: str) -> None:
    """Fills the disk, sees that nothing leaves, makes room, and sees that it goes on."""
    audit = f'[audit]\nfile = "{folder}/audit.jsonl"\nfsync = "{fsync}"\nrequired = true\n'
    async with (
        live(folder.parent, SERVER + audit + PROJECT + BY_PLACE) as server,
        aio.insecure_channel(server.address) as channel,
    ):
        small_disk = SmallDisk(disk, folder, server.process.pid)
        stub = TokenServiceStub(channel)
        left = await fill(server, stub)
        refusal = await refused(stub.IssueRtcToken(VALID))
        assert refusal.reason == "AUDIT_UNAVAILABLE"
        assert refusal.details["RetryInfo"].retry_delay.seconds == 1
        assert small_disk.error in (await server.health())["degraded"]["audit"]
        assert await server.metric(DEGRADED) == 1
        assert "disk" not in refusal.message
        say("full")
        small_disk.make_room()
        await until(lambda: server.events("recovered"))
        answer = await stub.IssueRtcToken(VALID)
        left.append(answer.issued_token.token_id)
        assert await server.metric(DEGRADED) == 0
        trail = (folder / "audit.jsonl").read_text()
        assert all(token_id in trail for token_id in left)
        say("recovered")
        if disk == "limited":
            # A limit on file sizes does not show before a write: the probe cannot see it.
            return
        # No call comes now: an idle server detects the full disk, and its end, by its probe.
        small_disk.fill()
        await until(lambda: len(server.events("degraded")) == 2)
        health = await server.health()
        assert (health["status"], health["not_ready"]) == ("NOT_SERVING", ["audit"])
        small_disk.make_room()
        await until(lambda: len(server.events("recovered")) == 2)
        assert (await server.health())["status"] == "SERVING"
        assert (folder / "audit.jsonl").read_text() == trail
        say("idle")


def say(step: str) -> None:
    """Tells the test how far it has come."""
    sys.stdout.write(f"{step}\n")
    sys.stdout.flush()


asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))
