"""Agora's official packages in a long-running Node.js process."""

import asyncio
import json
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from differential.drawing import Call
from support.installing import BIN, NPM_FOLDER
from token_authority_server.families import Moment


class Node:
    """Builds tokens with tests/npm/build.js."""

    def __init__(self, process: Process) -> None:
        assert process.stdin
        assert process.stdout
        self._stdin, self._stdout = process.stdin, process.stdout

    async def build(self, call: Call, moment: Moment) -> str:
        """Returns the token that a call builds with the clock and random values of a moment."""
        line = {
            "now_ms": moment.now_ms,
            "salt": moment.salt,
            "nonce": moment.nonce,
            "builder": call.builder,
            "args": call.args,
        }
        self._stdin.write(json.dumps(line).encode() + b"\n")
        answer = json.loads(await asyncio.wait_for(self._stdout.readline(), 30))
        assert "token" in answer, answer
        token: str = answer["token"]
        # Agora's JavaScript returns "" for invalid arguments.
        assert token
        return token


@asynccontextmanager
async def node() -> AsyncGenerator[Node]:
    """Starts the process, which `support.installing.npm_install` prepared, and stops it."""
    script = NPM_FOLDER / "build.js"
    process = await asyncio.create_subprocess_exec(
        BIN / "node", script, stdin=PIPE, stdout=PIPE, limit=2**22
    )
    try:
        yield Node(process)
    finally:
        # The process exits at the end of its input.
        await asyncio.wait_for(process.communicate(b""), 30)
