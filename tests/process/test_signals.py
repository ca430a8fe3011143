import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from support.live import AUDIT, BY_PLACE, LOG, PROJECT, SERVER, live
from support.machine import PID_NAMESPACE
from support.serving import command, write_config
from support.waiting import until

MODULE = [sys.executable, "-m", "token_authority_server"]
COMMANDS = {"module": MODULE, "command line": [*command(), "serve"]}
DELAYS = (0.0, 0.1, 0.3, 0.6, 1.0)


def catches(pid: int, number: signal.Signals) -> bool:
    """Whether a process has a handler for a signal."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    found = re.search(r"^SigCgt:\s*([0-9a-f]+)", status, re.MULTILINE)
    return found is not None and bool(int(found[1], 16) & 1 << (number - 1))


@asynccontextmanager
async def starting(
    folder: Path, arguments: list[str], prefix: tuple[str, ...] = ()
) -> AsyncGenerator[tuple[asyncio.subprocess.Process, Path]]:
    """Starts a server, and does not wait for it."""
    path = write_config(folder, SERVER + PROJECT + BY_PLACE + LOG)
    stderr = folder / "stderr"
    with stderr.open("wb") as err:
        process = await asyncio.create_subprocess_exec(
            *prefix, *arguments, "--config", str(path), stderr=err
        )
    try:
        yield process, stderr
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def child_of(pid: int) -> int:
    """Returns the only child of a process, once there is one."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    await until(lambda: path.read_text().strip())
    return int(path.read_text())


async def end(process: asyncio.subprocess.Process, pid: int, stderr: Path, delay: float) -> int:
    """Sends SIGTERM some time after the process handles it; returns the exit code."""
    await until(lambda: catches(pid, signal.SIGTERM))
    await asyncio.sleep(delay)
    os.kill(pid, signal.SIGTERM)
    code = await asyncio.wait_for(process.wait(), 15)
    assert "Traceback" not in stderr.read_text()
    return code


@pytest.mark.parametrize("arguments", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize("delay", DELAYS)
async def test_sigterm_ends_a_server_that_is_starting(
    tmp_path: Path, arguments: list[str], delay: float
) -> None:
    async with starting(tmp_path, arguments) as (process, stderr):
        assert await end(process, process.pid, stderr, delay) == 0


@pytest.mark.needs("pid namespace")
@pytest.mark.parametrize("arguments", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize("delay", DELAYS)
async def test_sigterm_ends_a_server_that_is_starting_as_pid_1(
    tmp_path: Path, arguments: list[str], delay: float
) -> None:
    async with starting(tmp_path, arguments, PID_NAMESPACE) as (process, stderr):
        assert await end(process, await child_of(process.pid), stderr, delay) == 0


def keeps_signals(pid: int) -> bool:
    """Whether a process blocks SIGTERM, and unshare, which does so while it forks, is gone."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"^SigBlk:\s*([0-9a-f]+)", status, re.MULTILINE)
    is_blocked = found is not None and bool(int(found[1], 16) & 1 << (signal.SIGTERM - 1))
    return is_blocked and not status.startswith("Name:\tunshare\n")


@pytest.mark.needs("pid namespace")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_pid_1_does_not_lose_a_signal_before_python_runs(
    tmp_path: Path, number: signal.Signals
) -> None:
    # As the image's ENTRYPOINT.
    blocking = (*PID_NAMESPACE, "env", "--block-signal=TERM,INT")
    for attempt in range(10):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        async with starting(folder, MODULE, blocking) as (process, stderr):
            pid = await child_of(process.pid)
            for _ in range(100_000):
                if keeps_signals(pid):
                    break
                await asyncio.sleep(0)
            os.kill(pid, number)
            assert await asyncio.wait_for(process.wait(), 15) == 0
            # A busy machine may send it too late.
            if "serving" not in stderr.read_text():
                return
    raise AssertionError("the signal was never sent in time")


def test_the_handlers_are_there_before_anything_large_is_imported() -> None:
    program = """
import signal, sys
signal.signal = lambda number, handler: seen.append((number, sorted(sys.modules)))
seen = []
from token_authority_server.process.signals import end_while_starting
end_while_starting()
print(len(seen), any(name.split(".")[0] in ("grpc", "pydantic", "asyncio") for name in seen[0][1]))
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout == "5 False\n"


async def test_sigusr1_and_sigusr2_change_nothing(tmp_path: Path) -> None:
    async with live(tmp_path, SERVER + PROJECT + BY_PLACE) as server:
        for number in (signal.SIGUSR1, signal.SIGUSR2):
            server.process.send_signal(number)
        assert (await server.health())["status"] == "SERVING"


HANGING = """
import os, threading, time
from token_authority_server.config import files
from token_authority_server.process import reload
{how}
from token_authority_server.__main__ import main
main()
"""
# Start-up reads in the main thread, a reload in one of its own.
HUNG_READ = """
def hang(path, max_bytes):
    if threading.current_thread() is not threading.main_thread():
        os.write(2, b"hung\\n")
        time.sleep(600)
    return read(path, max_bytes)
read, files.read_regular_file = files.read_regular_file, hang
"""
# How it hangs, and how the process ends: 1 if it has to be ended.
HANGS: dict[str, tuple[str, int]] = {
    "a reload on a mount that hangs": (HUNG_READ, 0),
    "the event loop": (
        "reload.Reloader.run = lambda self: hang()\nasync def hang(): time.sleep(600)",
        1,
    ),
    "a thread": ("threading.Thread(target=time.sleep, args=(600,), name='hung').start()", 1),
}


@pytest.mark.parametrize(("how", "code"), HANGS.values(), ids=HANGS)
async def test_sigterm_ends_the_process_whatever_hangs(tmp_path: Path, how: str, code: int) -> None:
    text = SERVER.replace('drain = "2s"', 'drain = "1s"')
    path = write_config(tmp_path, text + PROJECT + BY_PLACE + AUDIT + LOG)
    stderr = tmp_path / "stderr"
    with stderr.open("wb") as err:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", HANGING.format(how=how), "--config", str(path), stderr=err
        )
    try:
        await until(lambda: '"serving"' in stderr.read_text(), 30)
        process.send_signal(signal.SIGHUP)
        if how == HUNG_READ:
            await until(lambda: "hung\n" in stderr.read_text())
        await asyncio.sleep(0.3)
        process.terminate()
        # drain and five seconds, and two for a machine that is busy.
        assert await asyncio.wait_for(process.wait(), 1 + 5 + 2) == code
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert ('"shutdown timed out"' in stderr.read_text()) == bool(code)
    assert "Traceback" not in stderr.read_text()
