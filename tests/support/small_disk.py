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
    mount = mounting("64k", folder) if disk == "mounted" else []
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
            limit_files(self._process, 45_000)

    def make_room(self) -> None:
        """Lets writes succeed again."""
        if self._ballast.exists():
            self._ballast.unlink()
        else:
            limit_files(self._process, None)

    def fill(self) -> None:
        """Takes all room that is left, without a write of the process (mounted only)."""
        fill_up(self._ballast)


def mounting(size: str, folder: Path) -> list[str]:
    """Returns what runs a command, which is appended, with a file system at a folder."""
    script = f'mount -t tmpfs -o size={size} tmpfs "$0" && exec "$@"'
    return [*UNSHARE, "sh", "-c", script, str(folder)]


def fill_up(file: Path) -> None:
    """Takes all room that a small disk has left, at most 10 GB."""
    with contextlib.suppress(OSError), file.open("wb", buffering=0) as ballast:
        for size in (1_000_000, 4096, 1):
            with contextlib.suppress(OSError):
                for _ in range(10_000):
                    ballast.write(b"x" * size)


def limit_files(process: int, size: int | None) -> None:
    """Limits the size of the files that a process writes; 0 is this one, None is no limit."""
    _, hard = resource.prlimit(process, resource.RLIMIT_FSIZE)
    resource.prlimit(process, resource.RLIMIT_FSIZE, (hard if size is None else size, hard))
