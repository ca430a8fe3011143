import asyncio
import errno
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.trails import CHAIN_ID, NewTrail, Reports, issued, lines, read, until, users
from support.small_disk import DISKS, run_on
from token_authority_server.audit import AuditError, AuditTrail, FileSink, verify

TESTS = Path(__file__).parents[1]
LATER = "f" * 32


def go_on(path: Path, *numbers: int) -> None:
    """Starts on a file, records, and stops."""
    reports = Reports()
    sink = FileSink(path, "never", LATER)
    trail = AuditTrail(
        [sink],
        required=True,
        clock=reports.clock,
        on_failure=reports.failures.append,
        on_recovery=lambda: None,
    )
    trail.record_soon([issued(number) for number in numbers])
    trail.close()
    assert not reports.failures


def test_the_chain_goes_on_where_the_file_ends(path: Path) -> None:
    path.write_bytes(b"".join(lines(3)))
    go_on(path, 3)
    go_on(path, 4)
    assert [record["seq"] for record in read(path)] == [1, 2, 3, 4, 5]
    assert {record["chain"] for record in read(path)} == {CHAIN_ID}
    report = verify([path])
    assert (report.problem, report.notes) == (None, ())


WHOLE = b"".join(lines(4))


@given(st.integers(0, len(WHOLE)), st.integers(0, 400))
def test_a_crash_at_any_byte_leaves_a_trail_that_goes_on_and_verifies(
    first_cut: int, second_cut: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "audit.jsonl"
        path.write_bytes(WHOLE[:first_cut])
        torn = WHOLE[:first_cut].rpartition(b"\n")[2]
        # A line of which only the line break is missing is a whole record.
        if torn and torn + b"\n" in lines(4):
            torn = b""
        size = path.stat().st_size
        go_on(path)
        # It crashes once more, in the middle of telling so.
        path.write_bytes(path.read_bytes()[: size + second_cut])
        go_on(path, 9)
        report = verify([path])
        assert report.problem is None
        assert bool(torn) == any("incomplete line of a crash" in note for note in report.notes)
        assert path.read_bytes().startswith(WHOLE[:first_cut])
        assert path.read_bytes().endswith(b"}\n")


def test_an_unfinished_line_of_a_crash_is_recorded_and_protected_by_the_chain(path: Path) -> None:
    path.write_bytes(WHOLE[:-40])
    go_on(path, 4)
    torn, recovered, _ = path.read_bytes().splitlines(keepends=True)[3:]
    assert b'"event":"recovered"' in recovered
    assert f'"torn_bytes":{len(torn)}'.encode() in recovered
    path.write_bytes(path.read_bytes().replace(torn, torn.replace(b"backend", b"nobody!")))
    problem = verify([path]).problem
    assert problem
    assert (problem.fault, problem.line) == ("inserted", 4)


def test_an_unfinished_line_is_torn_until_a_server_starts(path: Path) -> None:
    path.write_bytes(WHOLE[:-40])
    problem = verify([path]).problem
    assert problem
    assert (problem.fault, problem.line) == ("torn", 4)


def test_a_last_record_that_was_altered_is_not_taken_for_a_crash(path: Path) -> None:
    path.write_bytes(WHOLE.replace(b"uid:3", b"uid:9"))
    go_on(path, 4)
    problem = verify([path]).problem
    assert problem
    assert (problem.fault, problem.line) == ("altered", 4)


@pytest.mark.parametrize(
    "content", [b"[server]\n", b"{}\n", b"hello", b'{"time":"x"}\n', b"x" * 2_000_000]
)
def test_a_file_that_is_no_trail_is_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(AuditError, match="does not end with audit records: move it away"):
        FileSink(path, "never", LATER)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gone/audit.jsonl", "No such file or directory: create its folder"),
        (".", "Is a directory"),
        ("fifo", "is not a regular file"),
        ("/dev/null", "is not a regular file"),
    ],
)
def test_a_file_that_cannot_be_used_is_explained(tmp_path: Path, name: str, expected: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(AuditError, match=expected):
        FileSink(tmp_path / name, "never", LATER)


def start(program: str, path: Path) -> "subprocess.Popen[bytes]":
    """Starts another process that writes to a file."""
    return subprocess.Popen(
        [sys.executable, TESTS / "audit" / program, path],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
    )


def test_two_processes_do_not_write_to_one_file(path: Path) -> None:
    with start("writer.py", path) as process:
        assert process.stdout
        assert process.stdout.readline()
        with pytest.raises(AuditError, match="another process writes to it"):
            FileSink(path, "never", LATER)
        process.kill()
    go_on(path, 1)  # the lock went with the process


def test_a_process_that_is_killed_while_writing_loses_nothing_it_answered(path: Path) -> None:
    answered = 0
    for _ in range(3):
        with start("writer.py", path) as process:
            assert process.stdout
            for line in process.stdout:
                answered = int(line)
                if answered % 50 == 49:
                    process.send_signal(signal.SIGKILL)
                    break
            # What it answered until it was dead.
            for line in process.stdout:
                answered = int(line)
        written = users(read_whole(path))
        assert written[: answered + 1] == [f"uid:{number}" for number in range(answered + 1)]
        go_on(path)
        assert verify([path]).problem is None
        path.unlink()


def read_whole(path: Path) -> list[dict[str, object]]:
    """Reads the whole records of a file that may end in a torn one."""
    whole, _, _ = path.read_bytes().rpartition(b"\n")
    copy = path.with_suffix(".copy")
    copy.write_bytes(whole + b"\n")
    return read(copy)


async def test_rotation_while_many_write_loses_nothing(
    new_trail: NewTrail, path: Path, tmp_path: Path
) -> None:
    trail = new_trail(policy="always")
    rotated: list[Path] = []

    async def work(worker: int) -> None:
        for number in range(60):
            await trail.record([issued(worker * 1000 + number)])

    def rename() -> None:
        rotated.append(tmp_path / f"audit.jsonl.{len(rotated)}")
        path.rename(rotated[-1])

    workers = [asyncio.ensure_future(work(worker)) for worker in range(20)]
    for _ in range(5):
        await asyncio.sleep(0.01)
        await asyncio.to_thread(rename)
        await asyncio.sleep(0.005)  # meanwhile records go to the renamed file
        trail.reopen()
        await until(path.exists)
    await asyncio.gather(*workers)
    await trail.record([issued(99_999)])
    files = [*rotated, path]
    assert verify(files).problem is None
    expected = {f"uid:{worker * 1000 + number}" for worker in range(20) for number in range(60)}
    expected.add("uid:99999")
    assert set(users(read(*files))) == expected
    assert len(read(*files)) == len(expected)
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in files)
    assert "begins with record" in verify([path]).notes[0]


async def test_reopening_the_same_file_changes_nothing(trail: AuditTrail, path: Path) -> None:
    await trail.record([issued(1)])
    trail.reopen()
    await trail.record([issued(2)])
    assert verify([path]).problem is None
    with pytest.raises(AuditError, match="another process"):
        await asyncio.to_thread(FileSink, path, "never", LATER)


async def test_a_new_file_that_cannot_be_used_leaves_the_old_one_in_use(
    trail: AuditTrail, path: Path, reports: Reports, tmp_path: Path
) -> None:
    await trail.record([issued(1)])
    old = path.rename(tmp_path / "old")
    path.mkdir()
    trail.reopen()
    await until(lambda: reports.failures)
    assert reports.failures[0].startswith(f"audit file {path}: Is a directory")
    await trail.record([issued(2)])
    assert users(read(old)) == ["uid:1", "uid:2"]
    path.rmdir()
    # By itself: nobody has to send another SIGHUP.
    await until(lambda: reports.failures[1:] == [""])
    await trail.record([issued(3)])
    assert users(read(path)) == ["uid:3"]
    assert verify([old, path]).problem is None


async def test_a_rotated_file_that_cannot_be_closed_is_left(
    trail: AuditTrail, path: Path, reports: Reports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on NFS: close reports that earlier writes failed, and the descriptor is gone."""
    await trail.record([issued(1)])
    old = path.rename(tmp_path / "old")
    close = os.close

    def fail(fd: int) -> None:
        is_old = os.fstat(fd).st_ino == old.stat().st_ino
        close(fd)
        if is_old:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("os.close", fail)
    trail.reopen()
    await until(lambda: reports.failures)
    assert reports.failures[0] == f"audit file {path}: Input/output error"
    await trail.record([issued(2)])
    await until(lambda: reports.failures[1:] == [""])
    assert users(read(path)) == ["uid:2"]
    assert verify([old, path]).problem is None


async def test_a_file_that_is_deleted_is_made_again(trail: AuditTrail, path: Path) -> None:
    await trail.record([issued(1)])
    path.unlink()
    await trail.record([issued(2)])
    assert users(read(path)) == ["uid:2"]
    assert "begins with record 2" in verify([path]).notes[0]


async def test_a_file_whose_end_is_cut_off_under_a_running_server_is_found(
    trail: AuditTrail, path: Path
) -> None:
    await trail.record([issued(1)])
    size = path.stat().st_size
    await trail.record([issued(2)])
    os.truncate(path, size)
    await trail.record([issued(3)])
    problem = verify([path]).problem
    assert problem
    assert (problem.fault, problem.line) == ("removed", 2)


@pytest.mark.parametrize("disk", DISKS)
@pytest.mark.parametrize("what", ["required", "optional", "stream"])
def test_a_disk_that_is_really_full(tmp_path: Path, what: str, disk: str) -> None:
    ran = run_on(disk, tmp_path, TESTS / "audit" / "full_disk.py", what)
    assert (ran.returncode, ran.stdout) == (0, "mounted\nfull\nrecovered\n"), ran.stderr
