"""Instances on ports of their own, which are ended and started again, and their audit disk."""

import asyncio
import json
import signal
import ssl
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

from soak.files import Files
from support.live import get
from support.memory import resident_mib
from support.ports import free_port
from support.serving import ServerProcess, serving
from support.small_disk import fill_up, limit_files
from support.waiting import until_await

WAIT_SECONDS: Final = 30.0
_RELOADS: Final = 'token_authority_configuration_reloads_total{outcome="ok"} '


class Instance:
    """A server process on ports of its own, again and again.

    Args:
        number: Which one, from 1.
        files: What all instances read.
        trails: The folder of the audit files.
    """

    def __init__(self, number: int, files: Files, trails: Path) -> None:
        self.name = f"instance {number}"
        self.address, self._admin = (f"127.0.0.1:{free_port()}" for _ in range(2))
        self.trail = trails / f"audit-{number}.jsonl"
        self.rss_mib: list[tuple[float, float]] = []
        """Of each process that has ended, and of the one that runs: at its start, and last."""
        self._files = files
        self._stack = AsyncExitStack()
        self.server: ServerProcess

    async def start(self) -> None:
        """Starts a process; returns when it is ready."""
        environment = {
            "TOKEN_AUTHORITY__SERVER__LISTEN": json.dumps([self.address]),
            "TOKEN_AUTHORITY__SERVER__ADMIN_LISTEN": self._admin,
            "TOKEN_AUTHORITY__AUDIT__FILE": str(self.trail),
        }
        run = serving("--config", str(self._files.path), environment=environment)
        self.server = await self._stack.enter_async_context(run)
        await self.until_ready(is_ready=True)
        self.rss_mib.append((self.resident(), self.resident()))

    async def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Ends the process with a signal.

        Raises:
            AssertionError: It ended with another exit code than it should, or logged a traceback.
        """
        self.measure()
        code = await self.server.stop(how)
        await self._stack.aclose()
        assert code == (0 if how is signal.SIGTERM else -how), f"{self.name}: exit code {code}"
        assert "Traceback" not in self.server.stderr, self.server.stderr[-5000:]

    def measure(self) -> None:
        """Notes the resident memory."""
        self.rss_mib[-1] = (self.rss_mib[-1][0], self.resident())

    def resident(self) -> float:
        """Returns the resident memory in MiB."""
        return resident_mib(self.server.process.pid)

    async def kill(self) -> None:
        """Ends the process, if one runs, for good."""
        await self._stack.aclose()

    async def ready(self) -> tuple[int, Any]:
        """Returns status and content of `/readyz`."""
        status, page = await self._page("/readyz")
        return status, json.loads(page)

    async def until_ready(self, *, is_ready: bool) -> None:
        """Waits until `/readyz` answers 200 or 503."""

        async def changed() -> bool:
            return (await self.ready())[0] == (200 if is_ready else 503)

        await until_await(changed, WAIT_SECONDS)

    async def until_degraded(self, component: str, *, is_degraded: bool = True) -> None:
        """Waits until a component is degraded, or is not; the instance must be ready."""

        async def changed() -> bool:
            status, health = await self.ready()
            assert status == 200, f"{self.name} is not ready: {health}"
            return (component in health["degraded"]) is is_degraded

        await until_await(changed, WAIT_SECONDS)

    async def shown_certificate(self) -> str:
        """Returns the certificate that a new connection is shown, in PEM."""
        host, _, port = self.address.rpartition(":")
        return await asyncio.to_thread(ssl.get_server_certificate, (host, int(port)), timeout=10)

    async def reloads(self) -> int:
        """Returns how often the process has applied a configuration."""
        _, page = await self._page("/metrics")
        (value,) = [line for line in page.splitlines() if line.startswith(_RELOADS)] or ["0"]
        return round(float(value.removeprefix(_RELOADS)))

    async def _page(self, path: str) -> tuple[int, str]:
        return await asyncio.to_thread(get, f"http://{self._admin}{path}")


class AuditDisk:
    """The disk of the audit files: a small file system, or a limit on the size of files.

    Args:
        folder: Where the files are.
        mounted: Whether it is a file system of its own.
    """

    def __init__(self, folder: Path, *, mounted: bool) -> None:
        self.folder = folder
        self._mounted = mounted
        self._ballast = folder / "ballast"

    def fill(self, instances: Sequence[Instance]) -> None:
        """Takes the room that is left."""
        if not self._mounted:
            for instance in instances:
                size = instance.trail.stat().st_size + 2000
                limit_files(instance.server.process.pid, size)
            return
        fill_up(self._ballast)

    def free(self, instances: Sequence[Instance]) -> None:
        """Gives it back."""
        self._ballast.unlink(missing_ok=True)
        for instance in () if self._mounted else instances:
            limit_files(instance.server.process.pid, None)
