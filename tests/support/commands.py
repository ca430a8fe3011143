"""Runs the command line of this installation."""

import asyncio
import os
import subprocess
from dataclasses import dataclass

from support.serving import command


@dataclass(frozen=True)
class Ran:
    """Result of a command."""

    code: int
    out: str
    err: str


async def run(*arguments: str, stdin: bytes = b"", **environment: str) -> Ran:
    """Runs `token-authority …` and checks that it prints no traceback."""
    process = await asyncio.create_subprocess_exec(
        *command(),
        *arguments,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "COLUMNS": "100", **environment},
    )
    out, err = await asyncio.wait_for(process.communicate(stdin), 30)
    assert process.returncode is not None
    assert b"Traceback" not in err
    return Ran(process.returncode, out.decode(), err.decode())
