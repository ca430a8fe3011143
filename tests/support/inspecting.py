"""The page of `token-authority inspect --web`, served by a process, and plain HTTP to it."""

import asyncio
import json
import os
import re
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from support.forking import Command, start
from support.waiting import until


@dataclass(frozen=True)
class Answered:
    """An answer to one HTTP request."""

    status: int
    headers: dict[str, str]
    body: bytes
    raw: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


async def raw_request(port: int, request: bytes) -> bytes:
    """Sends bytes and returns everything that comes back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        await writer.drain()
        return await asyncio.wait_for(reader.read(), 30)
    finally:
        writer.close()


@dataclass(frozen=True)
class Page:
    """A served page."""

    url: str
    process: Command
    folder: Path

    @property
    def port(self) -> int:
        """The port."""
        return int(self.origin.rpartition(":")[2])

    @property
    def origin(self) -> str:
        """The origin."""
        return self.url.rpartition("/")[0]

    @property
    def path(self) -> str:
        """The secret path."""
        return "/" + self.url.rpartition("/")[2]

    @property
    def output(self) -> str:
        """Everything that the command has printed."""
        return (self.folder / "output").read_text()

    async def request(
        self, method: str = "GET", *, path: str = "", body: bytes = b"", **changes: str | None
    ) -> Answered:
        """Sends a request as the page's script does.

        Args:
            method: The method.
            path: Another path.
            body: The body.
            changes: Other headers, with underscores; None: without it.
        """
        headers: dict[str, str | None] = {"Host": self.origin.removeprefix("http://")}
        if method == "POST":
            headers |= {
                "Origin": self.origin,
                "Sec-Fetch-Site": "same-origin",
                "Content-Type": "application/json",
                "Content-Length": str(len(body)),
            }
        headers |= {name.replace("_", "-"): text for name, text in changes.items()}
        lines = [f"{name}: {text}\r\n" for name, text in headers.items() if text is not None]
        head = f"{method} {path or self.path} HTTP/1.1\r\n{''.join(lines)}\r\n"
        raw = await raw_request(self.port, head.encode() + body)
        first, _, rest = raw.partition(b"\r\n")
        fields, _, content = rest.partition(b"\r\n\r\n")
        pairs = [line.partition(": ")[::2] for line in fields.decode().split("\r\n")]
        return Answered(int(first.split()[1]), dict(pairs), content, raw)

    async def inspect(self, **form: str) -> Any:
        """Posts a form; underscores become dashes. Returns the answer."""
        names = {name.replace("_", "-"): text for name, text in form.items()}
        answered = await self.request("POST", body=json.dumps(names).encode())
        assert answered.status == 200
        return answered.json


@asynccontextmanager
async def inspect_page(
    *arguments: str, stdin: int | None = None, **environment: str
) -> AsyncGenerator[Page]:
    """Runs `inspect --web`; yields the page once it is served, and ends it as Ctrl-C does."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        with (folder / "output").open("wb") as output:
            process = await start(
                *("inspect", "--web", *arguments),
                stdin=stdin,
                stdout=output.fileno(),
                stderr=output.fileno(),
                env={**os.environ, **environment},
            )

        def printed() -> str:
            return (folder / "output").read_text()

        try:
            await until(lambda: process.returncode is not None or "Ctrl-C" in printed(), 30)
            assert process.returncode is None, printed()
            (url,) = re.findall(r"http://\S+", printed())
            yield Page(url, process, folder)
            process.send_signal(signal.SIGINT)
            assert await asyncio.wait_for(process.wait(), 30) == 0
            assert "Traceback" not in printed()
        finally:
            process.kill()
            await process.wait()
