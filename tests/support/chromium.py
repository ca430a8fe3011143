"""Debian's Chromium without a window, driven through its DevTools pipe.

The pipe is two inherited descriptors: the browser reads commands from 3 and writes to 4, each
message a JSON object that ends with a zero byte.
"""

import asyncio
import base64
import itertools
import json
import os
import shlex
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from support.waiting import until_await

_KEYS: Final = {
    "Tab": ("Tab", 9, ""),
    "Enter": ("Enter", 13, "\r"),
}
_SHIFT: Final = 8
_CONTROL: Final = 2


class Tab:
    """One tab.

    Attributes:
        events: Everything the browser has reported, in order: pairs of a method and its parameters.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: int) -> None:
        self.events: list[tuple[str, Any]] = []
        self._reader = reader
        self._writer = writer
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._session: str | None = None
        self._reading = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        try:
            while True:
                message = json.loads((await self._reader.readuntil(b"\0"))[:-1])
                if "id" in message:
                    self._waiting.pop(message["id"]).set_result(message)
                else:
                    self.events.append((message["method"], message["params"]))
        except asyncio.IncompleteReadError:
            for waiting in self._waiting.values():
                waiting.set_exception(AssertionError("chromium has ended: see what it printed"))

    async def call(self, method: str, **parameters: Any) -> Any:
        """Calls a method of the DevTools protocol and returns its result."""
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._waiting[number] = asyncio.get_running_loop().create_future()
        os.write(self._writer, json.dumps(message).encode() + b"\0")
        answer = await asyncio.wait_for(self._waiting[number], 60)
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    async def attach(self) -> None:
        """Opens the tab and turns on the events of page, network, log and console."""
        target = await self.call("Target.createTarget", url="about:blank")
        attached = await self.call(
            "Target.attachToTarget", targetId=target["targetId"], flatten=True
        )
        self._session = attached["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime", "Audits"):
            await self.call(f"{domain}.enable")

    async def close(self) -> None:
        """Stops reading."""
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)

    async def open(self, url: str) -> None:
        """Opens a page and waits until it has loaded."""
        count = self._count("Page.loadEventFired")
        await self.call("Page.navigate", url=url)

        async def loaded() -> bool:
            return self._count("Page.loadEventFired") > count

        await until_await(loaded, 30)

    def _count(self, method: str) -> int:
        return sum(name == method for name, _ in self.events)

    async def value(self, expression: str) -> Any:
        """Evaluates JavaScript and returns its value."""
        result = await self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    async def until(self, expression: str) -> None:
        """Waits until a JavaScript expression is true."""

        async def is_true() -> bool:
            return bool(await self.value(expression))

        await until_await(is_true, 30)

    async def insert(self, text: str) -> None:
        """Inserts a text at the cursor, as pasting does."""
        await self.call("Input.insertText", text=text)

    async def press(self, name: str, *, shift: bool = False, control: bool = False) -> None:
        """Presses and releases a key."""
        key, code, text = _KEYS[name]
        event = {
            "key": key,
            "code": key,
            "windowsVirtualKeyCode": code,
            "modifiers": _SHIFT * shift + _CONTROL * control,
        }
        typed = {"text": text} if text and not control else {}
        await self.call("Input.dispatchKeyEvent", type="keyDown", **event, **typed)
        await self.call("Input.dispatchKeyEvent", type="keyUp", **event)

    async def size(self, width: int, height: int) -> None:
        """Sets the size of the window, in CSS pixels."""
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )

    async def prefer(self, **features: str) -> None:
        """Sets media features; underscores become dashes."""
        values = [
            {"name": name.replace("_", "-"), "value": value} for name, value in features.items()
        ]
        await self.call("Emulation.setEmulatedMedia", features=values)

    async def screenshot(self, path: Path) -> None:
        """Writes a picture of the whole page."""
        shot = await self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))


@asynccontextmanager
async def chromium() -> AsyncGenerator[Tab]:
    """Runs Chromium with a new profile; yields a tab."""
    program = shutil.which("chromium")
    assert program, "chromium is not installed: apt-get install --no-install-recommends chromium"
    commands, browser_reads = os.pipe()[::-1]
    browser_writes, answers = os.pipe()[::-1]
    with TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = [
            "--headless",
            "--remote-debugging-pipe",
            f"--user-data-dir={profile}",
            "--no-first-run",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            # Its own traffic, of which the page knows nothing.
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            # Chromium refuses to run its sandbox as root.
            *(["--no-sandbox"] if os.geteuid() == 0 else []),
            "about:blank",
        ]
        line = f"exec {shlex.join([program, *options])} 3<&{browser_reads} 4>&{browser_writes}"
        process = await asyncio.create_subprocess_exec(
            *("bash", "-c", line),
            pass_fds=(browser_reads, browser_writes),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            env={**os.environ, "HOME": profile},
        )
        os.close(browser_reads)
        os.close(browser_writes)
        reader = asyncio.StreamReader(limit=1 << 26)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(answers, "rb", 0)
        )
        tab = Tab(reader, commands)
        try:
            await tab.attach()
            yield tab
        finally:
            await tab.close()
            transport.close()
            # Chromium ends when the pipe does.
            os.close(commands)
            try:
                await asyncio.wait_for(process.wait(), 10)
            except TimeoutError:
                process.kill()
                await process.wait()
