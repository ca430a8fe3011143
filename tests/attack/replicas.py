"""Server processes to be stopped, and an address in front of them that can be moved."""

import asyncio
import contextlib
import signal
from pathlib import Path
from typing import Any, Final

from grpc import aio

from support.serving import CONFIG, command, write_config
from token_authority.v1.rtc_pb2 import RTC_ROLE_PUBLISHER, IssueRtcTokenRequest

PATH: Final = "/token_authority.v1.TokenService/IssueRtcToken"
REQUEST: Final = IssueRtcTokenRequest(
    project="classroom", channel_name="c", uid=1, role=RTC_ROLE_PUBLISHER
).SerializeToString()
# The longest that a server may take to start, on a busy machine.
START_SECONDS: Final = 30.0


class Replica:
    """A server process on a port of its own."""

    def __init__(self, folder: Path, port: int, notice: float) -> None:
        self.address = f"127.0.0.1:{port}"
        folder.mkdir(exist_ok=True)
        text = (
            CONFIG.replace("127.0.0.1:0", self.address)
            .replace('"500ms"', f'"{int(notice * 1000)}ms"\ndrain = "5s"')
            .replace("[log]", '[log]\nlevel = "error"')
        )
        self._config = write_config(folder, text)
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Starts it; returns when it answers calls."""
        self._process = await asyncio.create_subprocess_exec(
            *command(),
            *["serve", "--config", str(self._config)],
            stderr=asyncio.subprocess.DEVNULL,
        )
        async with aio.insecure_channel(self.address) as channel:
            call: Any = channel.unary_unary(PATH)
            await call(REQUEST, wait_for_ready=True, timeout=START_SECONDS)

    def send(self, signal_number: signal.Signals) -> None:
        """Sends a signal."""
        assert self._process
        self._process.send_signal(signal_number)

    async def ended(self) -> None:
        """Waits for the end."""
        assert self._process
        await asyncio.wait_for(self._process.wait(), 60)

    async def kill(self) -> None:
        """Ends it, if it still runs."""
        if self._process and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


class VirtualAddress:
    """Forwards each new connection to where it points then: a handler for `tcp_server`."""

    def __init__(self, to: str) -> None:
        self.to = to

    async def forward(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        """Forwards a connection."""
        host, _, port = self.to.rpartition(":")
        with contextlib.suppress(OSError):
            far, forth = await asyncio.open_connection(host, int(port))
            try:
                await asyncio.gather(_copy(near, forth), _copy(far, back))
            finally:
                forth.close()


async def _copy(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        to.write(data)
        await to.drain()
    to.close()
