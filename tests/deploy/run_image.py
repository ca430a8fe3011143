"""Runs the root of an image as PID 1 of new namespaces, and stops it: see image.sh.

Usage: run_image.py ROOT WORK. Uses the standard library only.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Final

USER: Final = 65532
MEMORY: Final = 256 * 2**20
ADMIN: Final = 19464
CONFIG: Final = f"""
[server]
listen = ["127.0.0.1:15051"]
admin_listen = "127.0.0.1:{ADMIN}"
drain_notice = "0s"
[projects.classroom.agora]
app_id = "970ca35de60c44645bbae8a215061b33"
[[projects.classroom.agora.certificates]]
id = "cert-1"
secret = {{ file = "/etc/token-authority/secrets/cert" }}
state = "active"
[[callers]]
name = "tester"
identities = ["local"]
[[callers.grants]]
name = "all"
project = "classroom"
tokens = ["rtc"]
roles = ["*"]
channels = ["*"]
users = ["*"]
"""


# As a runtime does: the mounts, a read-only root, no other processes in sight, no privileges.
SCRIPT: Final = """
set -eu
mount --bind "$1" "$1"
mount --bind "$2" "$1/etc/token-authority"
mount -t proc proc "$1/proc"
mount -o remount,bind,ro "$1"
exec chroot --userspec=65532:65532 --groups= "$1" env --block-signal=TERM,INT \\
    /opt/token-authority/bin/python \\
    -m token_authority_server --config /etc/token-authority/config/token-authority.toml
"""


def main() -> None:
    """Starts the image, asks it, and sends SIGTERM."""
    root, work = Path(sys.argv[1]), Path(sys.argv[2]) / "mounts"
    prepare(root, work)
    unshare = subprocess.Popen(
        [
            "prlimit",
            f"--data={MEMORY}",
            "unshare",
            "--pid",
            "--fork",
            "--mount",
            "sh",
            "-c",
            SCRIPT,
            "sh",
            root,
            work,
        ],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        ready = get("/readyz")
        (server,) = children(unshare.pid)
        status = Path(f"/proc/{server}/status").read_text()
        facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert facts["NSpid"].split()[-1] == "1", facts["NSpid"]
        assert facts["Uid"].split() == [str(USER)] * 4, facts["Uid"]
        assert facts["CapEff"].strip() == "0" * 16, facts["CapEff"]
        probe = Path(f"/proc/{server}/root/opt/probe")
        print(f"PID 1 as user {USER}, {facts['VmRSS'].strip()} resident, /readyz: {ready}")
        try:
            probe.touch()
        except OSError as error:
            print(f"writing to the root: {error.strerror}")
        else:
            raise AssertionError("the root is not read-only")
        started = time.monotonic()
        os.kill(server, signal.SIGTERM)
        code = unshare.wait(30)
        print(f"SIGTERM: exit code {code} after {time.monotonic() - started:.1f} s")
        assert code == 0
    finally:
        unshare.kill()
        assert unshare.stderr
        log = unshare.stderr.read()
        if sys.exc_info()[0]:
            print(log, file=sys.stderr)


def prepare(root: Path, work: Path) -> None:
    """Writes what is mounted, and makes the mount point."""
    shutil.rmtree(work, ignore_errors=True)
    for path, text in (
        ("config/token-authority.toml", CONFIG),
        ("secrets/cert", "0123456789abcdef0123456789abcdef"),
    ):
        file = work / path
        file.parent.mkdir(parents=True)
        file.write_text(text)
        os.chown(file, USER, USER)
    (root / "etc/token-authority").mkdir(exist_ok=True)


def get(path: str) -> str:
    """Returns the first line of an admin page, once the server answers."""
    for _ in range(100):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{ADMIN}{path}", timeout=5) as answer:
                text: str = answer.read().decode()
                return f"{answer.status} {text.splitlines()[0] if text else ''}"
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"{path} does not answer")


def children(pid: int) -> list[int]:
    """Returns the processes that a process has started."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


if __name__ == "__main__":
    main()
