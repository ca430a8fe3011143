"""Fills a small disk with records, and makes room again. Run by support.small_disk.run_on."""

import asyncio
import os
import sys
from pathlib import Path

from audit.trails import CHAIN_ID, Reports, issued, read, until, users
from support.small_disk import SmallDisk
from token_authority_server.audit import AuditTrail, FileSink, Sink, StreamSink, verify
from token_authority_server.errors import Reason, Refusal


async def is_refused(trail: AuditTrail, number: int) -> bool:
    """Records; whether that was refused."""
    try:
        await trail.record([issued(number, note="x" * 500)])
    except Refusal as refusal:
        return refusal.reason is Reason.AUDIT_UNAVAILABLE
    return False


async def main(disk: str, folder: Path, what: str) -> None:
    """Checks what is left on a full disk, and what comes after."""
    path = folder / "audit.jsonl"
    small_disk = SmallDisk(disk, folder)
    say("mounted")
    reports = Reports()
    required = what != "optional"
    sink: Sink = (
        StreamSink("standard output", os.open(path, os.O_WRONLY | os.O_CREAT), CHAIN_ID)
        if what == "stream"
        else FileSink(path, "always", CHAIN_ID)
    )
    trail = AuditTrail(
        [sink],
        required=required,
        clock=reports.clock,
        on_failure=reports.failures.append,
        on_recovery=lambda: reports.failures.append(""),
    )
    answered: list[str] = []
    number = 0
    while not reports.failures:
        if not await is_refused(trail, number):
            answered.append(f"uid:{number}")
        number += 1
        assert number < 200
    assert len(reports.failures) == 1
    assert small_disk.error in reports.failures[0]
    # Once more: refused, or lost and counted, and not reported again.
    assert await is_refused(trail, number) == required
    assert len(reports.failures) == 1
    if what != "stream":
        # Nothing torn is left of what did not fit.
        assert verify([path]).problem is None
        assert users(read(path)) == answered[: len(read(path))]
    if required:
        assert len(answered) == number - 1
    say("full")

    small_disk.make_room()
    await until(lambda: reports.failures[1:] == [""])
    assert not await is_refused(trail, 1000)
    trail.close()
    report = verify([path])
    assert report.problem is None, report
    assert bool(report.notes) == (what == "stream")  # a stream cannot be cut: its end is explained
    lines = [line for line in path.read_bytes().splitlines() if b'"hash"' in line]
    assert len(lines) == report.records
    assert lines[-1].find(b'"uid:1000"') > 0
    assert b'"event":"recovered"' in lines[-2]
    assert f'"lost":{number + 1 - (report.records - 2)}'.encode() in lines[-2]
    say("recovered")


def say(step: str) -> None:
    """Tells the test how far it has come."""
    sys.stdout.write(f"{step}\n")
    sys.stdout.flush()


asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))
