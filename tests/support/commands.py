"""Runs the command line of this installation."""

import asyncio
import os
from dataclasses import dataclass
from tempfile import TemporaryFile

from support.forking import start


@dataclass(frozen=True)
class Ran:
    """Result of a command."""

    code: int
    out: str
    err: str


async def run(*arguments: str, stdin: bytes = b"", **environment: str) -> Ran:
    """Runs `token-authority …` and checks that it prints no traceback."""
    with TemporaryFile() as given, TemporaryFile() as out, TemporaryFile() as err:
        given.write(stdin)
        given.seek(0)
        process = await start(
            *arguments,
            stdin=given.fileno(),
            stdout=out.fileno(),
            stderr=err.fileno(),
            env={**os.environ, "COLUMNS": "100", **environment},
        )
        try:
            code = await asyncio.wait_for(process.wait(), 30)
        finally:
            process.kill()
        printed, logged = [(file.seek(0), file.read().decode())[1] for file in (out, err)]
    assert "Traceback" not in logged
    return Ran(code, printed, logged)
