"""Serves with a required trail on a disk that fails, and works again, while no call comes.

Run by support.small_disk.run_with_disk: FOLDER/disk is a file system of its own.
"""

import asyncio
import subprocess
import sys
from pathlib import Path

from support.live import BY_PLACE, PROJECT, SERVER, Live, live


async def stall(server: Live, disk: Path) -> None:
    """Freezes the file system, and thaws it."""
    execute("fsfreeze", "--freeze", disk)
    try:
        say("not ready", await server.until_ready(is_ready=False))
        problem = (await server.health())["degraded"]["audit"]
        assert problem == "the audit trail has not responded for 1 s"
    finally:
        execute("fsfreeze", "--unfreeze", disk)


async def forbid_writing(server: Live, disk: Path) -> None:
    """Makes an error of the file system turn it read-only, and mounts another one."""
    source = execute("findmnt", "--noheadings", "--output", "SOURCE", disk)
    Path(f"/sys/fs/ext4/{Path(source).name}/trigger_fs_error").write_text("1")
    say("not ready", await server.until_ready(is_ready=False))
    assert "Read-only file system" in (await server.health())["degraded"]["audit"]
    execute("mount", "-t", "tmpfs", "tmpfs", disk)
    server.hang_up()


def say(what: str, seconds: float) -> None:
    """Prints what changed, and how long that took."""
    sys.stdout.write(f"{what} after {seconds:.1f} s\n")


def execute(*command: str | Path) -> str:
    """Runs a program; returns its output."""
    done = subprocess.run(command, check=True, timeout=20, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()


async def main(folder: Path, fault: str) -> None:
    """Checks readiness."""
    disk = folder / "disk"
    audit = f'[audit]\nfile = "{disk}/audit.jsonl"\nrequired = true\n'
    async with live(folder, SERVER + audit + PROJECT + BY_PLACE) as server:
        await server.until_ready(is_ready=True)
        await (stall if fault == "stalled" else forbid_writing)(server, disk)
        say("ready", await server.until_ready(is_ready=True))
    sys.stdout.write("ready\n")


asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
