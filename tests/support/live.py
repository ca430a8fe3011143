"""A server process whose log, admin pages and files a test can read and change."""

import asyncio
import json
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from support import granting
from support.forking import Command, start
from support.keys import APP_ID
from support.serving import command, write_config
from support.waiting import until, until_await

SERVER: Final = """
[server]
listen = ["127.0.0.1:0"]
admin_listen = "127.0.0.1:0"
reload_interval = "50ms"
drain_notice = "0s"
drain = "2s"
"""
PROJECT: Final = f"""
[projects.classroom.agora]
app_id = "{APP_ID}"
[[projects.classroom.agora.certificates]]
id = "cert-1"
secret = {{ file = "cert" }}
state = "active"
"""


def caller(identity: str, name: str = "tester", more: str = "") -> str:
    """Returns a caller's section, which may issue RTC tokens and list keys."""
    return f"""
[[callers]]
name = "{name}"
identities = ["{identity}"]
{more}
[[callers.grants]]
name = "all"
project = "classroom"
tokens = ["rtc"]
roles = ["*"]
channels = ["*"]
users = ["*"]
allow = ["inspect", "list_keys"]
"""


AUDIT: Final = '[audit]\nfile = "audit.jsonl"\n'
LOG: Final = '[log]\nformat = "json"\n'
BY_KEY: Final = caller(granting.API_KEY_IDENTITY)
BY_PLACE: Final = caller("local")
BEARER: Final = (("authorization", f"Bearer {granting.API_KEY}"),)


class Live:
    """A running server."""

    def __init__(self, process: Command | asyncio.subprocess.Process, folder: Path) -> None:
        self.process = process
        self.folder = folder
        self.addresses: list[str] = []
        self.admin = ""

    @property
    def address(self) -> str:
        """The first listener."""
        return self.addresses[0]

    @property
    def output(self) -> str:
        """Its standard error so far."""
        return (self.folder / "stderr").read_text()

    @property
    def stdout(self) -> str:
        """Its standard output so far."""
        return (self.folder / "stdout").read_text()

    @property
    def log(self) -> list[dict[str, Any]]:
        """Its log so far, without an incomplete last line."""
        return [json.loads(line) for line in self.output.splitlines(True) if line.endswith("\n")]

    def events(self, event: str) -> list[dict[str, Any]]:
        """The log lines of one event."""
        return [line for line in self.log if line["event"] == event]

    @property
    def records(self) -> list[dict[str, Any]]:
        """The audit trail so far."""
        path = self.folder / "audit.jsonl"
        lines = path.read_text().splitlines(True) if path.exists() else []
        return [json.loads(line) for line in lines if line.endswith("\n")]

    async def page(self, path: str) -> str:
        """Returns a page of the admin address, whatever its HTTP status."""
        _, text = await asyncio.to_thread(get, f"http://{self.admin}{path}")
        return text

    async def health(self) -> Any:
        """Returns the page `/health`."""
        return json.loads(await self.page("/health"))

    async def until_ready(self, *, is_ready: bool) -> float:
        """Waits for readiness to change; returns the seconds that took."""
        began = time.monotonic()

        async def changed() -> bool:
            return bool(((await self.health())["status"] == "SERVING") is is_ready)

        await until_await(changed)
        return time.monotonic() - began

    async def metric(self, name: str) -> float:
        """Returns a value of `/metrics` by its name and labels; 0 if it is absent."""
        for line in (await self.page("/metrics")).splitlines():
            if line.startswith(f"{name} "):
                return float(line.rpartition(" ")[2])
        return 0

    async def reloaded(self, times: int) -> None:
        """Waits until the configuration has been applied that many times."""
        await until(lambda: len(self.events("configuration reloaded")) >= times)

    def hang_up(self) -> None:
        """Sends SIGHUP."""
        self.process.send_signal(signal.SIGHUP)

    async def stop(self) -> int:
        """Sends SIGTERM and returns the exit code."""
        self.process.terminate()
        return await asyncio.wait_for(self.process.wait(), 30)


def get(url: str) -> tuple[int, str]:
    """Returns the HTTP status and the text of a page; blocks."""
    try:
        with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310  # loopback
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@asynccontextmanager
async def live(
    folder: Path,
    text: str,
    *,
    prefix: tuple[str, ...] = (),
    stdout: int | None = None,
    **environment: str,
) -> AsyncGenerator[Live]:
    """Serves a configuration that is written to a folder with its secrets.

    Args:
        folder: Where they go, and its output.
        text: The configuration.
        prefix: A program that runs the server.
        stdout: Its standard output; None: the file `stdout`.
        environment: More environment variables.
    """
    path = write_config(folder, text + LOG)
    environment = {**os.environ, **environment}
    serve = ("serve", "--config", str(path))
    process: Command | asyncio.subprocess.Process
    with (folder / "stdout").open("wb") as file, (folder / "stderr").open("wb") as err:
        out = file.fileno() if stdout is None else stdout
        if prefix:
            process = await asyncio.create_subprocess_exec(
                *prefix, *command(), *serve, stdout=out, stderr=err, env=environment
            )
        else:
            process = await start(*serve, stdout=out, stderr=err.fileno(), env=environment)
    server = Live(process, folder)
    try:
        await until(lambda: process.returncode is not None or '"serving"' in server.output, 30)
        assert process.returncode is None, server.output
        (line,) = server.events("serving")
        server.addresses, server.admin = line["listen"], line["admin"]
        yield server
        if process.returncode is None:
            assert await server.stop() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert "Traceback" not in server.output
    assert server.log
