"""Disks of a test's own: one with room for some 45 kB, which fills up, and one that fails.

The small one is a file system of its own where the machine lets a test mount one. A limit on the
size of files works everywhere: there too the kernel writes a part of what it is given, and then
refuses the rest.
"""

import contextlib
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from support.machine import UNSHARE

DISKS: Final = [
    pytest.param("mounted", marks=pytest.mark.needs("mount")),
    pytest.param("limited"),
]
_TESTS: Final = Path(__file__).parents[1]


def run_on(
    disk: str, folder: Path, program: Path, *arguments: str
) -> "subprocess.CompletedProcess[str]":
    """Runs `PROGRAM DISK FOLDER ARGUMENTS…`, which makes its SmallDisk of the first two."""
    mount: list[str] = []
    if disk == "mounted":
        script = 'mount -t tmpfs -o size=64k tmpfs "$0" && exec "$@"'
        mount = [*UNSHARE, "sh", "-c", script, str(folder)]
    return subprocess.run(
        [*mount, sys.executable, str(program), disk, str(folder), *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(_TESTS), "GRPC_VERBOSITY": "NONE"},
        timeout=100,
        check=False,
    )


def run_with_disk(folder: Path, program: Path, *arguments: str) -> tuple[int, str]:
    """Runs `PROGRAM FOLDER ARGUMENTS…` with an ext4 file system of its own at FOLDER/disk.

    Returns:
        Its exit code, and its output.
    """
    image, disk = folder / "image", folder / "disk"
    disk.mkdir()
    script = """
        truncate -s 8M "$0" && mkfs.ext4 -q "$0" || exit
        mount -o loop,errors=remount-ro "$0" "$1" || exit
        shift
        "$@"
        code=$?
        # Else what is left could never be ended.
        fsfreeze --unfreeze "$3/disk" 2> /dev/null
        exit $code"""
    done = subprocess.run(
        [*UNSHARE, "sh", "-c", script, image, disk, sys.executable, program, folder, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(_TESTS), "GRPC_VERBOSITY": "NONE"},
        timeout=100,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


class SmallDisk:
    """The disk, as the program in run_on() sees it.

    Args:
        disk: "mounted" or "limited".
        folder: Where it is mounted.
        process: The id of the process that writes; 0 is this one.
    """

    def __init__(self, disk: str, folder: Path, process: int = 0) -> None:
        self.error = "No space left on device" if disk == "mounted" else "File too large"
        self._process = process
        self._ballast = folder / "ballast"
        if disk == "mounted":
            self._ballast.write_bytes(b"x" * 20_000)
        else:
            self._limit(45_000)

    def make_room(self) -> None:
        """Lets writes succeed again."""
        if self._ballast.exists():
            self._ballast.unlink()
        else:
            self._limit(resource.RLIM_INFINITY)

    def fill(self) -> None:
        """Takes all room that is left, without a write of the process (mounted only)."""
        with contextlib.suppress(OSError), self._ballast.open("wb", buffering=0) as file:
            for _ in range(1000):
                file.write(b"x" * 512)

    def _limit(self, size: int) -> None:
        _, hard = resource.prlimit(self._process, resource.RLIMIT_FSIZE)
        soft = hard if size == resource.RLIM_INFINITY else size
        resource.prlimit(self._process, resource.RLIMIT_FSIZE, (soft, hard))
