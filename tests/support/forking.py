"""Starts `token-authority` in forks of one process that has already imported it.

A fresh interpreter spends half a second of a core on imports, and the tests start hundreds. A fork
runs the same module in milliseconds, in a process with its own pid, arguments, environment, streams
and signals. What depends on a fresh interpreter starts `support.serving.command()` instead.
"""

import asyncio
import atexit
import json
import os
import signal
import socket
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Final

_PROGRAM: Final = Path(__file__).with_name("fork_server.py")


class Command:
    """A running command, with the methods of `asyncio.subprocess.Process` that the tests need."""

    def __init__(self, pid: int, reports: asyncio.StreamReader) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ended = asyncio.ensure_future(self._end(reports))

    async def _end(self, reports: asyncio.StreamReader) -> int:
        self.returncode = os.waitstatus_to_exitcode(int(await reports.readline()))
        assert not await reports.read()
        return self.returncode

    async def wait(self) -> int:
        """Waits until it ends, and returns its exit code."""
        return await asyncio.shield(self._ended)

    def send_signal(self, number: signal.Signals) -> None:
        """Sends a signal; does nothing after the end."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Sends SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Sends SIGKILL."""
        self.send_signal(signal.SIGKILL)


async def start(
    *arguments: str, stdin: int | None = None, stdout: int, stderr: int, env: dict[str, str]
) -> Command:
    """Starts `token-authority …` with descriptors as its streams; by default nothing to read."""
    request = json.dumps([arguments, env, str(Path.cwd())]).encode()
    ours, theirs = os.pipe()
    reports = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reports), os.fdopen(ours, "rb", 0)
    )
    nothing = os.open(os.devnull, os.O_RDONLY)
    streams = [nothing if stdin is None else stdin, stdout, stderr, theirs]
    socket.send_fds(_requests(), [request], streams)
    os.close(nothing)
    os.close(theirs)
    return Command(int(await reports.readline()), reports)


@cache
def _requests() -> socket.socket:
    """Starts the process that forks; it ends with this one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-P", str(_PROGRAM), str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        )

    def end() -> None:
        ours.close()
        process.wait(10)

    atexit.register(end)
    return ours
