import asyncio
import errno
import os
import threading
import time
from collections.abc import Generator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from audit.trails import CHAIN_ID, NewTrail, Reports, issued, read, until, users
from token_authority_server.audit import (
    AuditTrail,
    FileSink,
    FsyncPolicy,
    StreamSink,
    verify,
)
from token_authority_server.audit import trail as trail_module
from token_authority_server.errors import Reason, Refusal


class Disk:
    """fsync as the operating system does it, counted; and as a bad disk would."""

    def __init__(self) -> None:
        self.count = 0
        self.delay_seconds = 0.0
        self.error = 0
        self.moves = threading.Event()
        self.moves.set()
        self._fsync = os.fsync

    def fsync(self, fd: int) -> None:
        self.moves.wait(10)
        time.sleep(self.delay_seconds)
        if self.error:
            raise OSError(self.error, os.strerror(self.error))
        self._fsync(fd)
        self.count += 1


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Generator[Disk]:
    disk = Disk()
    monkeypatch.setattr("os.fsync", disk.fsync)
    yield disk
    disk.moves.set()


async def refused(trail: AuditTrail, *records: dict[str, Any]) -> None:
    with pytest.raises(Refusal) as caught:
        await trail.record(records or [issued()])
    assert caught.value.reason is Reason.AUDIT_UNAVAILABLE
    assert caught.value.retry_after_seconds == 1


async def test_records_are_in_the_file_when_the_call_returns(
    trail: AuditTrail, path: Path, reports: Reports
) -> None:
    await trail.record([issued(1), issued(2)])
    await trail.record([issued(3)])
    assert users(read(path)) == ["uid:1", "uid:2", "uid:3"]
    assert [record["seq"] for record in read(path)] == [1, 2, 3]
    assert verify([path]).problem is None
    assert path.stat().st_mode & 0o777 == 0o600
    assert not reports.failures


async def test_nothing_to_record_and_nowhere_to_record_it(
    trail: AuditTrail, path: Path, reports: Reports
) -> None:
    await trail.record([])
    assert not path.read_bytes()
    nowhere = AuditTrail(
        [],
        required=False,
        clock=reports.clock,
        on_failure=reports.failures.append,
        on_recovery=lambda: None,
    )
    await nowhere.record([issued()])
    nowhere.record_soon([issued()])
    nowhere.close()


async def test_what_is_recorded_soon_is_there_soon(trail: AuditTrail, path: Path) -> None:
    trail.record_soon([issued(1)])
    await trail.record([issued(2)])
    assert users(read(path)) == ["uid:1", "uid:2"]


async def test_a_token_never_gets_as_far_as_the_file(trail: AuditTrail, path: Path) -> None:
    with pytest.raises(ValueError, match="must not contain a token"):
        await trail.record([issued(1), issued(2, channel="NETLESSROOM_YWs9")])
    with pytest.raises(ValueError, match="must not contain a token"):
        trail.record_soon([issued(channel="007eJxTY")])
    assert not path.read_bytes()


async def test_calls_that_wait_together_share_an_fsync(
    new_trail: NewTrail, disk: Disk, path: Path
) -> None:
    disk.delay_seconds = 0.01
    trail = new_trail(policy="always")
    await trail.record([issued(0)])
    disk.count = 0
    await asyncio.gather(*[trail.record([issued(number)]) for number in range(1, 301)])
    assert 1 <= disk.count <= 10
    assert sorted(users(read(path))) == sorted(f"uid:{number}" for number in range(301))


async def test_a_slow_disk_does_not_hold_up_the_event_loop(new_trail: NewTrail, disk: Disk) -> None:
    disk.delay_seconds = 0.5
    trail = new_trail(policy="always")
    call = asyncio.ensure_future(trail.record([issued()]))
    longest, last = 0.0, time.monotonic()
    while not call.done():
        await asyncio.sleep(0.005)
        longest, last = max(longest, time.monotonic() - last), time.monotonic()
    assert longest < 0.3


@pytest.mark.parametrize(("policy", "at_once"), [("always", 1), ("interval", 0), ("never", 0)])
async def test_when_the_disk_is_synchronised(
    new_trail: NewTrail, disk: Disk, policy: FsyncPolicy, at_once: int
) -> None:
    trail = new_trail(policy=policy)
    disk.count = 0  # a new file's folder is synchronised too
    await trail.record([issued()])
    assert disk.count == at_once
    if policy == "interval":
        await until(lambda: disk.count == 1)
        await asyncio.sleep(1.2)
        assert disk.count == 1  # nothing new to synchronise
        await trail.record([issued()])
    await asyncio.to_thread(trail.close)
    assert disk.count == {"always": 1, "interval": 2, "never": 0}[policy]


async def test_under_load_too_the_disk_is_synchronised_every_second(
    new_trail: NewTrail, disk: Disk
) -> None:
    trail = new_trail(policy="interval")
    disk.count = 0
    end = time.monotonic() + 2.5
    while time.monotonic() < end:
        await trail.record([issued()])
    assert 1 <= disk.count <= 3


async def test_a_disk_that_fails_refuses_calls_until_it_works_again(
    new_trail: NewTrail, disk: Disk, path: Path, reports: Reports
) -> None:
    trail = new_trail(policy="always")
    await trail.record([issued(1)])
    disk.error = errno.EIO
    for number in (2, 3):
        await refused(trail, issued(number))
    # Nothing of what was refused is left.
    assert users(read(path)) == ["uid:1"]
    assert reports.failures == [f"audit file {path}: Input/output error"]
    disk.error = 0
    await trail.record([issued(4)])
    _, recovered, last = read(path)
    assert (recovered["event"], recovered["lost"], recovered["required"]) == ("recovered", 2, True)
    assert last["user"] == "uid:4"
    await until(lambda: reports.failures[1:] == [""])
    assert verify([path]).problem is None


async def test_a_failure_while_synchronising_later_refuses_calls_too(
    new_trail: NewTrail, disk: Disk, reports: Reports
) -> None:
    trail = new_trail(policy="interval")
    disk.error = errno.EIO
    await trail.record([issued(1)])
    await until(lambda: reports.failures)
    await refused(trail)
    disk.error = 0
    await until(lambda: reports.failures[1:] == [""])
    await trail.record([issued(2)])


async def test_where_records_are_not_required_calls_go_on_and_the_loss_is_counted(
    new_trail: NewTrail, disk: Disk, path: Path, reports: Reports
) -> None:
    trail = new_trail(policy="always", required=False)
    disk.error = errno.ENOSPC
    await trail.record([issued(1), issued(2)])
    trail.record_soon([issued(3)])
    await trail.record([issued(4)])
    assert not path.read_bytes()
    assert len(reports.failures) == 1
    disk.error = 0
    # Without another record: it tries again by itself.
    await until(lambda: reports.failures[1:] == [""])
    (recovered,) = read(path)
    assert (recovered["event"], recovered["lost"], recovered["required"]) == ("recovered", 4, False)


async def test_a_disk_that_stalls_is_not_waited_for_for_ever(
    new_trail: NewTrail, disk: Disk, path: Path, reports: Reports
) -> None:
    trail = new_trail(policy="always", patience_seconds=0.2)
    disk.moves.clear()
    await refused(trail)
    assert reports.failures == ["the audit trail has not responded for 0.2 s"]
    started = time.monotonic()
    for _ in range(20):
        await refused(trail)
    assert time.monotonic() - started < 0.2  # none of them waited as long as the first
    disk.moves.set()
    await until(lambda: reports.failures[1:] == [""])
    await trail.record([issued(1)])
    # What was refused for the time it took is on the disk all the same; nothing is said to be lost.
    assert len(read(path)) == 22
    assert verify([path]).problem is None


async def test_a_stalled_disk_shows_as_lag_and_queue_and_lost_records_are_counted(
    new_trail: NewTrail, disk: Disk, reports: Reports
) -> None:
    trail = new_trail(policy="always", required=False, patience_seconds=0.01)
    await trail.record([issued(0)])
    await until(lambda: trail.lag_seconds == 0)
    assert (trail.queue_length, trail.lost) == (0, 0)
    disk.moves.clear()
    await trail.record([issued(1)])  # the writer is stuck in it now
    for number in range(2, 5):
        trail.record_soon([issued(number)])
    await until(lambda: trail.lag_seconds > 0.05)
    assert trail.queue_length == 3
    disk.moves.set()
    await until(lambda: trail.queue_length == 0 and trail.lag_seconds == 0)
    assert trail.lost == 0
    disk.error = errno.EIO
    await trail.record([issued(5), issued(6)])
    await until(lambda: bool(reports.failures) and bool(reports.failures[-1]))
    assert trail.lost == 2


async def test_the_lag_is_never_0_while_a_record_waits(new_trail: NewTrail, path: Path) -> None:
    """A record is queued before each line that the writer executes, one line after another."""
    visited: list[str] = []
    goal = 0, 0
    """A number of visited lines, and the number of the record that is queued then."""
    queued = 0
    missed: list[str] = []

    def visit(frame: FrameType, event: str, _: object) -> Any:
        nonlocal queued
        if frame.f_code.co_filename != trail_module.__file__:
            return None
        if event == "line":
            visited.append(frame.f_code.co_name)
            # Read once: the writer's thread does not wait for the test's.
            line, number = goal
            if queued < number and len(visited) >= line:
                queued = number
                trail.record_soon([issued(2)])
            if path.read_bytes().count(b"uid:2") < queued and not trail.lag_seconds:
                missed.append(f"{frame.f_code.co_name}, line {frame.f_lineno}")
        return visit

    threading.settrace(visit)
    try:
        trail = new_trail()
    finally:
        threading.settrace(None)
    for number in range(1, 31):
        await until(lambda: trail.lag_seconds == 0)
        goal = len(visited) + number, number
        trail.record_soon([issued(1)])
        await until(lambda: users(read(path)).count("uid:2") == number)  # noqa: B023  # awaited
    assert "_gather" in visited
    assert missed == []


async def test_a_queue_that_grows_too_long_drops_records_and_counts_them(
    new_trail: NewTrail, disk: Disk, path: Path
) -> None:
    trail = new_trail(policy="always", required=False, patience_seconds=0.01)
    disk.moves.clear()
    await trail.record([issued(0)])  # the writer is stuck in it now
    for number in range(1, 10_101):
        trail.record_soon([issued(number)])
    disk.moves.set()
    await until(lambda: path.read_bytes().count(b"\n") > 10_000)
    # Later batches do not report the lost records again.
    for number in range(20_000, 20_005):
        await trail.record([issued(number)])
    await asyncio.to_thread(trail.close)
    records = read(path)
    assert [record["lost"] for record in records if "lost" in record] == [100]
    assert len(users(records)) == 10_006


async def test_a_call_that_is_cancelled_takes_nobody_along(
    new_trail: NewTrail, disk: Disk, path: Path
) -> None:
    disk.delay_seconds = 0.1
    trail = new_trail(policy="always")
    calls = [asyncio.ensure_future(trail.record([issued(number)])) for number in range(3)]
    await asyncio.sleep(0.01)
    calls[1].cancel()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(result) for result in results] == [type(None), asyncio.CancelledError, type(None)]
    assert len(read(path)) == 3


async def test_after_the_end_nothing_is_recorded(trail: AuditTrail, path: Path) -> None:
    trail.record_soon([issued(1)])
    await asyncio.to_thread(trail.close)
    assert users(read(path)) == ["uid:1"]
    await refused(trail)
    trail.record_soon([issued(2)])
    assert len(read(path)) == 1


def test_a_trail_may_be_used_from_several_event_loops(trail: AuditTrail, path: Path) -> None:
    for number in range(3):
        asyncio.run(trail.record([issued(number)]))
    assert len(read(path)) == 3


async def test_a_callback_that_fails_does_not_stop_the_writer(
    path: Path, disk: Disk, reports: Reports
) -> None:
    def fail(_: str) -> None:
        raise RuntimeError

    sink = await asyncio.to_thread(FileSink, path, "always", CHAIN_ID)
    trail = AuditTrail(
        [sink], required=True, clock=reports.clock, on_failure=fail, on_recovery=lambda: None
    )
    disk.error = errno.EIO
    await refused(trail)
    disk.error = 0
    await trail.record([issued(1)])
    await asyncio.to_thread(trail.close)


async def test_a_recovery_is_reported_after_the_failure_that_it_ends(
    disk: Disk, path: Path, reports: Reports
) -> None:
    """The disk responds while another thread reports that it does not."""
    recovered = threading.Event()

    def fail(problem: str) -> None:
        disk.moves.set()
        recovered.wait(1)
        reports.failures.append(problem)

    def recover() -> None:
        reports.failures.append("")
        recovered.set()

    sink = await asyncio.to_thread(FileSink, path, "always", CHAIN_ID)
    trail = AuditTrail(
        [sink], required=True, clock=reports.clock, on_failure=fail, on_recovery=recover
    )
    disk.moves.clear()
    trail.record_soon([issued()])
    await asyncio.sleep(1.2)
    await asyncio.to_thread(trail.report_stall)
    await until(lambda: len(reports.failures) == 2)
    assert reports.failures == ["the audit trail has not responded for 1 s", ""]
    await asyncio.to_thread(trail.close)


@pytest.fixture
def pipe() -> Generator[tuple[int, int]]:
    """The two ends of a pipe."""
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            assert end == ends[0]  # the reader that went away


async def test_a_stream_gets_a_chain_of_its_own(
    new_trail: NewTrail, pipe: tuple[int, int], tmp_path: Path
) -> None:
    reader, writer = pipe
    trail = new_trail(StreamSink("standard output", writer, CHAIN_ID))
    await trail.record([issued(1), issued(2)])
    copy = tmp_path / "copy"
    copy.write_bytes(await asyncio.to_thread(os.read, reader, 65536))
    assert users(read(copy)) == ["uid:1", "uid:2"]
    assert verify([copy]).problem is None


async def test_a_stream_whose_reader_is_gone(
    new_trail: NewTrail, pipe: tuple[int, int], path: Path, reports: Reports
) -> None:
    os.close(pipe[0])
    stream = StreamSink("standard output", pipe[1], CHAIN_ID)
    file = await asyncio.to_thread(FileSink, path, "never", "f" * 32)
    trail = new_trail(file, stream)
    await refused(trail, issued(1))
    assert reports.failures == ["standard output: Broken pipe"]
    # The other sink goes on, each in its own chain.
    await refused(trail, issued(2))
    assert users(read(path)) == ["uid:1", "uid:2"]
    assert verify([path]).problem is None
    assert len(reports.failures) == 1


def test_a_dropped_record_is_lost_in_each_sink(
    new_trail: NewTrail, pipe: tuple[int, int], path: Path
) -> None:
    stream = StreamSink("standard output", pipe[1], CHAIN_ID)
    trail = new_trail(FileSink(path, "never", "f" * 32), stream, required=False)
    trail.close()
    trail.record_soon([issued(1)])
    assert trail.lost == 2


async def test_a_stream_that_nobody_reads_is_not_waited_for_for_ever(
    new_trail: NewTrail, pipe: tuple[int, int], reports: Reports
) -> None:
    trail = new_trail(
        StreamSink("standard output", pipe[1], CHAIN_ID), required=False, patience_seconds=0.2
    )
    started = time.monotonic()
    for _ in range(100):
        await trail.record([issued(note="x" * 5000)])
    assert time.monotonic() - started < 3
    assert reports.failures == ["the audit trail has not responded for 0.2 s"]
    os.close(pipe[0])


def test_a_probe_finds_that_the_reader_of_a_stream_is_gone() -> None:
    reader, writer = os.pipe()
    stream = StreamSink("standard output", writer, CHAIN_ID)
    stream.probe()
    os.close(reader)
    with pytest.raises(BrokenPipeError):
        stream.probe()
    os.close(writer)
