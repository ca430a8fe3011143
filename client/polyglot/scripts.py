"""Runs the scripts of a language's folder, bounded in time and without leftover processes."""

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

# Seconds. A first run downloads and compiles dependencies.
SECONDS: Final = {"install.sh": 900, "generate.sh": 300, "build.sh": 900, "run.sh": 60}


@dataclass(frozen=True)
class Done:
    """Result of a script."""

    code: int
    out: str
    err: str


def run_script(folder: Path, script: str, log: Path, environment: Mapping[str, str]) -> Done:
    """Runs one of a language's scripts and logs its output, without tokens.

    Args:
        folder: The language's folder.
        script: The script's name. It is killed after `SECONDS[script]`.
        log: The file to append to.
        environment: Variables to add to this process's.
    """
    started = time.monotonic()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        # In its own process group, and without pipes: a build daemon that a script leaves
        # behind is neither waited for nor left running.
        process = subprocess.Popen(
            [str(folder / script)],
            cwd=folder,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
        try:
            process.wait(SECONDS[script])
        except subprocess.TimeoutExpired:
            print(f"    {script} is ended after {SECONDS[script]} s")
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
        printed, complained = (_content(file) for file in (out, err))
    with log.open("a") as lines:
        seconds = time.monotonic() - started
        lines.write(f"==> {script}: exit code {code} after {seconds:.1f} s\n")
        # A client prints tokens, which never belong in a log.
        lines.write((complained if script == "run.sh" else printed + complained).rstrip() + "\n")
    print(f"    {script} {seconds:.1f} s, exit code {code}", flush=True)
    return Done(code, printed, complained)


def _content(file: IO[str]) -> str:
    """Returns the content of a file."""
    file.seek(0)
    return file.read()
