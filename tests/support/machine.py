"""Checks what the machine lacks. Tests that need it are left out, and pytest says why.

Another test, which works on any machine, covers the behaviour of each of them.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from functools import cache, partial
from typing import Final

# Runs a command that may mount file systems: as root, or in a user namespace.
UNSHARE: Final = ("unshare", *(() if os.geteuid() == 0 else ("--map-root-user",)), "--mount")

# Runs a command as PID 1 of its own.
PID_NAMESPACE: Final = ("unshare", "--pid", "--fork", "--kill-child")


def _program(name: str) -> str:
    return "" if shutil.which(name) else f"{name} is not installed"


def _mount() -> str:
    return _failure(*UNSHARE, "mount", "-t", "tmpfs", "tmpfs", "/mnt")


def _loop_device() -> str:
    with tempfile.TemporaryDirectory() as folder:
        script = """cd "$0" && mkdir disk && truncate -s 8M image && mkfs.ext4 -q image &&
            mount -o loop image disk && fsfreeze --freeze disk && fsfreeze --unfreeze disk"""
        return _failure(*UNSHARE, "sh", "-c", script, folder)


def _failure(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except FileNotFoundError as error:
        return str(error)
    return done.stderr.strip() if done.returncode else ""


_CHECKS: Final[dict[str, Callable[[], str]]] = {
    "mount": _mount,
    "loop device": _loop_device,
    "pid namespace": partial(_failure, *PID_NAMESPACE, "true"),
    "curl": partial(_program, "curl"),
    "go": partial(_program, "go"),
    "systemd-analyze": partial(_program, "systemd-analyze"),
    "promtool": partial(_program, "promtool"),
}
NEEDS: Final = tuple(_CHECKS)


@cache
def missing(need: str) -> str:
    """Returns why this machine lacks one of NEEDS; empty if it has it."""
    return _CHECKS[need]()
