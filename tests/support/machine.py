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


def _program(name: str) -> str:
    return "" if shutil.which(name) else f"{name} is not installed"


def _mount() -> str:
    try:
        command = [*UNSHARE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except FileNotFoundError as error:
        return str(error)
    return done.stderr.strip() if done.returncode else ""


_CHECKS: Final[dict[str, Callable[[], str]]] = {
    "mount": _mount,
    "curl": partial(_program, "curl"),
    "go": partial(_program, "go"),
}
NEEDS: Final = tuple(_CHECKS)


@cache
def missing(need: str) -> str:
    """Returns why this machine lacks one of NEEDS; empty if it has it."""
    return _CHECKS[need]()
