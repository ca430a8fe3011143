"""CPU time and memory of commands that read an audit trail."""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from support.keys import NOW_MS
from support.memory import resident_mib
from token_authority_server.audit.record import Chain, body_of, seal

AUDIT_RECORD: Final = {
    "event": "issued",
    "caller": "lesson-service",
    "project": "classroom",
    "user": "uid:7",
    "channel": "lesson-1",
    "key_id": "cert-1",
    "token_id": "0" * 32,
}


def audit_command(*command: str, peak: bool = False) -> Callable[[int], float]:
    """Returns the CPU seconds, or the peak MiB, of a command over a trail of so many megabytes."""

    def measure(megabytes: int) -> float:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "audit.jsonl"
            write_trail(path, megabytes * 1_000_000)
            process = os.posix_spawn(
                sys.executable,
                [sys.executable, "-m", "token_authority_cli", "audit", *command, str(path)],
                os.environ,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, output, os.devnull, os.O_WRONLY, 0) for output in (1, 2)
                ],
            )
            # Not ru_maxrss, which counts this process until the other one has replaced it.
            most, done = 0.0, 0
            while not done:
                if peak:
                    most = max(most, _peak_mib(process))
                time.sleep(0.01)
                done, _, used = os.wait4(process, os.WNOHANG)
        return most if peak else used.ru_utime + used.ru_stime

    return measure


def _peak_mib(process: int) -> float:
    try:
        return resident_mib(process, "VmHWM")
    except LookupError:  # it has ended
        return 0


def write_trail(path: Path, size: int) -> None:
    """Writes a trail of about so many bytes."""
    chain = Chain("ab" * 16)
    with path.open("wb") as file:
        for number in range(size):
            bodies = [body_of(AUDIT_RECORD, NOW_MS + number * 1000 + n) for n in range(1000)]
            data, chain = seal(chain, bodies)
            file.write(data)
            if file.tell() >= size:
                break
