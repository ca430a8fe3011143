"""What happens to the instances: each event waits for its effect, and fails if there is none."""

import asyncio
import itertools
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import trustme

from soak.calling import Caller
from soak.files import Files
from soak.fleet import WAIT_SECONDS, AuditDisk, Instance
from support.certificates import server_identity
from support.redis import RedisProcess
from support.replacing import replace
from support.waiting import until, until_await

FAILING_TEST: Final = """
[[tests]]
caller = "lessons"
request = { rtc = { channel_name = "office", uid = 7, role = "RTC_ROLE_PUBLISHER" } }
expect = "allow"
"""
_BAD: Final = itertools.cycle((FAILING_TEST, "[[callers", "[server]\nunknown = true\n"))
_KEY_FILE_SECONDS: Final = 2.0
"""A client reads its API key again within a second."""
_SETTLED_SECONDS: Final = 1.0
"""How long a refusal may take to arrive, and how long an instance is gone or a disk refuses."""


class Events:
    """Everything that happens.

    Args:
        files: What the instances read.
        instances: The instances.
        redis: Where they count.
        disk: Where their audit files are.
        caller: Who calls them meanwhile.
    """

    def __init__(
        self,
        files: Files,
        instances: Sequence[Instance],
        redis: RedisProcess,
        disk: AuditDisk,
        caller: Caller,
    ) -> None:
        self.full: list[tuple[float, float]] = []
        """When the disk was full."""
        self._files = files
        self._instances = instances
        self._redis = redis
        self._disk = disk
        self._caller = caller
        self._to_restart = instances

    def all(self) -> tuple[Callable[[], Awaitable[str]], ...]:
        """Returns the events of a cycle; each returns what has happened."""
        return (
            self._rotate_certificate,
            self._rotate_tls,
            self._rotate_api_key,
            self._configure,
            self._configure_badly,
            self._replace_tls_badly,
            self._restart,
            self._kill,
            self._stop_redis,
            self._pause_redis,
            self._fill_disk,
        )

    async def _rotate_certificate(self) -> str:
        self._files.add_certificate()
        await self._reload()
        key_id = await self._caller.signing_key()
        assert key_id == self._files.active, key_id
        return f"rotated the App Certificate: {key_id} signs"

    async def _rotate_tls(self) -> str:
        before = await self._shown()
        await self._reload(self._files.write_tls)
        assert not before & await self._shown()
        return "rotated the TLS certificate: new connections get the new one"

    async def _rotate_api_key(self) -> str:
        key = self._files.new_api_key()
        await self._reload()
        replace(self._files.api_key_file, key)
        await asyncio.sleep(_KEY_FILE_SECONDS)
        self._files.remove_old_api_key()
        await self._reload()
        return "rotated the API key, and removed the old one"

    async def _configure(self) -> str:
        self._files.limit = f"{int(self._files.limit.partition('/')[0]) + 1}/second"
        await self._reload()
        return f"changed a rate limit to {self._files.limit}"

    async def _configure_badly(self) -> str:
        more = next(_BAD)
        await self._misconfigure(lambda: self._files.write(more), self._files.write)
        return f"wrote a bad configuration ({more.split()[0]}), and the good one again"

    async def _replace_tls_badly(self) -> str:
        key = self._files.folder / "tls.key"
        good, other = key.read_text(), server_identity(trustme.CA()).private_key.reveal()
        await self._misconfigure(lambda: replace(key, other), lambda: replace(key, good))
        return "wrote the TLS key of another certificate, and the right one again"

    async def _restart(self) -> str:
        names = [instance.name for instance in self._to_restart]
        for instance in self._to_restart:
            await instance.stop()
            await instance.start()
        # From now on the first one keeps running, so that a leak would show in its memory.
        self._to_restart = self._instances[1:]
        return f"restarted {', '.join(names)}"

    async def _kill(self) -> str:
        instance = self._instances[-1]
        await instance.stop(signal.SIGKILL)
        await asyncio.sleep(_SETTLED_SECONDS)
        await instance.start()
        return f"killed {instance.name}, and started it again"

    async def _stop_redis(self) -> str:
        await self._redis.kill()
        await self._each("limits", is_degraded=True)
        await self._redis.start()
        await self._each("limits", is_degraded=False)
        return "stopped Redis, and started it again"

    async def _pause_redis(self) -> str:
        self._redis.send(signal.SIGSTOP)
        try:
            await self._each("limits", is_degraded=True)
        finally:
            self._redis.send(signal.SIGCONT)
        await self._each("limits", is_degraded=False)
        return "paused Redis, and resumed it"

    async def _fill_disk(self) -> str:
        refused, began = len(self._caller.refused_at), time.monotonic()
        self._disk.fill(self._instances)
        try:
            for instance in self._instances:
                await instance.until_ready(is_ready=False)
                _, health = await instance.ready()
                assert health["not_ready"] == ["audit"], health
            # A client retries for some seconds first.
            await until(lambda: len(self._caller.refused_at) > refused, WAIT_SECONDS)
            await asyncio.sleep(_SETTLED_SECONDS)
        finally:
            self._disk.free(self._instances)
        for instance in self._instances:
            await instance.until_ready(is_ready=True)
        await asyncio.sleep(_SETTLED_SECONDS)
        self.full.append((began, time.monotonic()))
        refused = len(self._caller.refused_at) - refused
        return f"filled the audit disk (/readyz 503, {refused} calls refused), and freed it"

    async def _reload(self, change: Callable[[], None] | None = None) -> None:
        """Changes files, by default the configuration; waits until each instance has taken it."""
        before = [await instance.reloads() for instance in self._instances]
        (change or self._files.write)()
        for instance, count in zip(self._instances, before, strict=True):

            async def reloaded(instance: Instance = instance, count: int = count) -> bool:
                return await instance.reloads() > count

            await until_await(reloaded, WAIT_SECONDS)
        await self._each("configuration", is_degraded=False)

    async def _misconfigure(self, spoil: Callable[[], None], mend: Callable[[], None]) -> None:
        spoil()
        await self._each("configuration", is_degraded=True)
        mend()
        await self._each("configuration", is_degraded=False)

    async def _each(self, component: str, *, is_degraded: bool) -> None:
        for instance in self._instances:
            await instance.until_degraded(component, is_degraded=is_degraded)

    async def _shown(self) -> set[str]:
        return {await instance.shown_certificate() for instance in self._instances}
