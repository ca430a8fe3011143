"""Checks what the machine lacks. Tests that need it are left out, and pytest says why.

Another test, which works on any machine, covers the behaviour of each of them.
"""

import os
import shutil
import subprocess
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


def _failure(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except FileNotFoundError as error:
        return str(error)
    return done.stderr.strip() if done.returncode else ""


_CHECKS: Final[dict[str, Callable[[], str]]] = {
    "mount": _mount,
    "pid namespace": partial(_failure, *PID_NAMESPACE, "true"),
    "curl": partial(_program, "curl"),
    "go": partial(_program, "go"),
}
NEEDS: Final = tuple(_CHECKS)


@cache
def missing(need: str) -> str:
    """Returns why this machine lacks one of NEEDS; empty if it has it."""
    return _CHECKS[need]()
