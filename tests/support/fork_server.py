"""Runs the command line in forks of a process that has imported it (see `support.forking`).

Each request is one message on the socket whose descriptor is the argument: the command's arguments,
environment and working directory, with four descriptors: standard input, output and error, and the
write end of a pipe that receives the command's pid and, when it has ended, its wait status.
"""

import gc
import importlib
import json
import os
import runpy
import signal
import socket
import sys
import time
from collections.abc import Sequence
from typing import Any

from token_authority_cli.commands import MODULES

_MAX_REQUEST = 262_144


def serve(requests: socket.socket) -> Any:
    """Forks for every request; returns in each fork: arguments, environment and folder."""
    while True:
        message, streams, _, _ = socket.recv_fds(requests, _MAX_REQUEST, 4)
        if not message:
            sys.exit()
        if os.fork() == 0:
            break
        for stream in streams:
            os.close(stream)
    requests.close()
    _fork_once_more(streams)
    return json.loads(message)


def _fork_once_more(streams: Sequence[int]) -> None:
    """Returns in a child that has the streams; this process waits for it and reports its end."""
    *standard, report = streams
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid == 0:
        for number, stream in enumerate(standard):
            os.dup2(stream, number)
        for stream in streams:
            os.close(stream)
        # Python's objects remember whether the old streams were files.
        sys.stdin = os.fdopen(0, closefd=False)
        sys.stdout = os.fdopen(1, "w", closefd=False)
        sys.stderr = os.fdopen(2, "w", 1, errors="backslashreplace", closefd=False)
        return
    for stream in (0, 1, 2, *standard):
        os.close(stream)
    os.write(report, f"{pid}\n".encode())
    _, status = os.waitpid(pid, 0)
    os.write(report, f"{status}\n".encode())
    os._exit(0)


for module in sorted(set(MODULES.values())):
    importlib.import_module(f"token_authority_cli.{module}")
importlib.import_module("token_authority_server.process.serve")
gc.freeze()
signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps the forks
arguments, environment, folder = serve(socket.socket(fileno=int(sys.argv[1])))
os.environ.clear()
os.environ.update(environment)
time.tzset()
os.chdir(folder)
sys.path.insert(0, folder)  # as `python -m` does
sys.argv[1:] = arguments
runpy.run_module("token_authority_cli", run_name="__main__", alter_sys=True)
