"""Runs server/OPERATIONS.md from top to bottom, with a release in a new environment.

`sh` blocks have to succeed; `console` blocks have to print what they show, where "…" stands for any
text. Blocks with another word after `sh` need what this test lacks and are not run.
"""

import asyncio
import os
import re
import shutil
import sys
import textwrap
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Final

import pytest

from support.documents import blocks, section
from support.installing import ROOT
from support.ports import free_port
from support.waiting import until
from token_authority_client import ApiKeyFile, AsyncTokenAuthorityClient, Tls

# The first test builds the release, and downloads what it installs.
pytestmark = pytest.mark.timeout(400)
TEXT: Final = (ROOT / "server/OPERATIONS.md").read_text()
CHAPTERS: Final = dict(
    re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
)
INSTALL: Final = blocks("sh", section(TEXT, "1. Install (two minutes)"))[0]
"""What the fixture `installed` has run."""
CURL: Final = f"""#!{sys.executable}
import sys, urllib.request
sys.stdout.write(urllib.request.urlopen(sys.argv[-1], timeout=10).read().decode())
"""
"""For machines without curl, which has no other part in this."""


class Reader:
    """Someone who does what the guide says, in a folder of their own."""

    def __init__(self, installed: Path, home: Path) -> None:
        self.folder = home / "token-authority"
        self.folder.mkdir()
        programs = home / "programs"
        programs.mkdir()
        if not shutil.which("curl"):
            (programs / "curl").write_text(CURL)
            (programs / "curl").chmod(0o700)
        self.opt = installed.parents[1]
        self.ports = {"50051": str(free_port()), "9464": str(free_port())}
        self.environment = {
            "PATH": f"{installed}:{programs}:{os.environ['PATH']}",
            "HOME": str(home),
            "COLUMNS": "100",
        }
        self.server: asyncio.subprocess.Process | None = None
        self.log = home / "log"

    def here(self, text: str) -> str:
        """Returns a command with the ports and folders of this test."""
        for port, free in self.ports.items():
            text = text.replace(port, free)
        return text.replace("/opt/", f"{self.opt}/")

    async def run(self, script: str) -> tuple[int | None, str]:
        """Runs a script; returns its exit code, and what a terminal would show."""
        process = await asyncio.create_subprocess_exec(
            *("bash", "-euo", "pipefail", "-c", f"umask 077\n{self.here(script)}"),
            cwd=self.folder,
            env=self.environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await asyncio.wait_for(process.communicate(), 60)
        return process.returncode, output.decode()

    async def follow(self, chapter: str) -> None:
        """Runs the blocks of a chapter in order."""
        pattern = r"^ *```(sh|console)\n(.*?)^ *```"
        for language, block in re.findall(pattern, chapter, re.MULTILINE | re.DOTALL):
            if language == "console":
                await self.show(block)
            elif block != INSTALL:
                await self.do(textwrap.dedent(block))

    async def do(self, block: str) -> None:
        """Runs an `sh` block and waits for what it causes."""
        if block.startswith("token-authority serve"):
            await self.serve(block)
        elif block.startswith("export "):
            for name, value in re.findall(r"(\w+)=(\S+)", block):
                if name != "PATH":
                    self.environment[name] = self.here(value)
        else:
            before = self.reloads()
            code, output = await self.run(block)
            assert code == 0, f"{block}\nfailed: {output}"
            if self.server and re.search(
                r"^(mv next.toml|sh tls.sh|token-authority deny)", block, re.MULTILINE
            ):
                await until(lambda: self.reloads() > before, 30)

    async def serve(self, command: str) -> None:
        """Starts the server of the second terminal."""
        with self.log.open("wb") as log:
            self.server = await asyncio.create_subprocess_exec(
                *command.split(), cwd=self.folder, env=self.environment, stderr=log
            )
        await until(lambda: '"serving"' in self.log.read_text(), 30)

    def reloads(self) -> int:
        """Returns how often the configuration has been reloaded."""
        return self.log.read_text().count('"configuration reloaded"') if self.server else 0

    async def show(self, block: str) -> None:
        """Runs the commands of a `console` block and compares what they print."""
        for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
            _, printed = await self.run(command)
            pattern = re.escape(self.here(shown)).replace("…", ".*")
            assert re.fullmatch(pattern, printed), f"{command}\nprinted: {printed}\nnot: {shown}"

    @asynccontextmanager
    async def calls(self) -> AsyncGenerator[None]:
        """Issues tokens until the block ends; a failed call fails it."""
        done = asyncio.Event()

        async def issue() -> None:
            async with AsyncTokenAuthorityClient(
                self.environment["TOKEN_AUTHORITY_TARGET"],
                tls=Tls(ca=self.folder / "ca.pem"),
                credential=ApiKeyFile(self.folder / "lesson-service.key"),
                timeout=20,
            ) as client:
                while not done.is_set():
                    await client.issue_rtc_token(channel="lesson-1", uid=7, role="publisher")
                    await asyncio.sleep(0.02)  # below the caller's rate limit

        async with asyncio.TaskGroup() as group:
            group.create_task(issue())
            try:
                yield
            finally:
                done.set()


@pytest.fixture
async def reader(installed: Path, tmp_path: Path) -> AsyncGenerator[Reader]:
    """Someone with the release installed, whose server ends with 0."""
    reader = Reader(installed, tmp_path)
    yield reader
    if reader.server:
        reader.server.terminate()
        assert await asyncio.wait_for(reader.server.wait(), 30) == 0


async def test_every_command_does_and_prints_what_the_guide_says(reader: Reader) -> None:
    assert {
        "Rotate secrets",
        "Revoke a caller, deny a user",
        "Upgrade and roll back",
    } < CHAPTERS.keys()
    for title, chapter in CHAPTERS.items():
        # What is rotated must fail no call.
        async with reader.calls() if title == "Rotate secrets" else nullcontext():
            await reader.follow(chapter)


def test_blocks_that_are_not_run_say_what_they_need() -> None:
    others = re.findall(r"^```sh (.+)$", TEXT, re.MULTILINE)
    assert set(others) == {"systemd", "image", "helm"}


def test_the_units_chart_and_image_of_the_guide_exist() -> None:
    for name in ("systemd/token-authority.target", "Dockerfile", "helm/token-authority/Chart.yaml"):
        assert f"deploy/{name.split('/')[0]}" in TEXT
        assert (ROOT / "server/deploy" / name).exists()
