"""Notices that the configuration changed, and goes on with the new one if it is good.

A new file that cannot be used changes nothing: the server goes on with what it has, and says so.
"""

import asyncio
import contextlib
from collections.abc import Callable

from structlog.typing import FilteringBoundLogger

from token_authority_server.audit import AuditTrail
from token_authority_server.config import ConfigError, ConfigFile, Settings
from token_authority_server.config.changes import changes_between
from token_authority_server.config.values import signature
from token_authority_server.families import Moment
from token_authority_server.identity.directory import LOCAL
from token_authority_server.process.explain import check_expectations
from token_authority_server.telemetry.health import DegradedComponents
from token_authority_server.telemetry.metrics import Metrics


class Reloader:
    """Watches a configuration file, and the files that it names.

    It looks at their times and sizes rather than being told by the system: that sees through the
    links that Kubernetes swaps, works on network file systems, and takes microseconds.

    Args:
        file: What to watch.
        settings: What was loaded from it.
        apply: Goes on with other settings.
        degraded: Told of a bad file.
        logger: Told what changed.
        trail: Gets a record of each change.
        metrics: Counts reloads.
        moments: Reads clock and entropy, to try the expectations with.
    """

    def __init__(
        self,
        file: ConfigFile,
        settings: Settings,
        apply: Callable[[Settings], None],
        degraded: DegradedComponents,
        logger: FilteringBoundLogger,
        trail: AuditTrail,
        metrics: Metrics,
        moments: Callable[[], Moment],
    ) -> None:
        self._moments = moments
        self._file = file
        self._settings = settings
        self._started = settings
        self._adopt = apply
        self._conditions = degraded
        self._logger = logger
        self._trail = trail
        self._metrics = metrics
        self._now = asyncio.Event()
        # As it was before it was read: what has changed since then is a change.
        self._seen = file.seen

    def reload_now(self) -> None:
        """Reads the file whether it has changed or not."""
        self._now.set()

    async def run(self) -> None:
        """Watches until it is cancelled."""
        interval = self._settings.server.reload_interval.total_seconds()
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._now.wait(), interval or None)
            asked = self._now.is_set()
            self._now.clear()
            try:
                seen = await asyncio.to_thread(signature, self._file.files)
                if asked or seen != self._seen:
                    await self._reload()
            except Exception as defect:  # noqa: BLE001  # or nothing would be read any more
                self._fail(type(defect).__name__)

    async def _reload(self) -> None:
        try:
            settings = await asyncio.to_thread(self._load)
        except ConfigError as error:
            self._fail(str(error))
            return
        self._adopt(settings)
        before, self._settings = self._settings, settings
        self._conditions.recover("configuration")
        self._metrics.reloads.labels("ok").inc()
        changes = changes_between(before, settings, self._started)
        self._logger.info("configuration reloaded", **changes)
        for warning in settings.warnings():
            self._logger.warning(warning)
        if changes:
            self._trail.record_soon([{"event": "configuration", **changes}])

    def _fail(self, problem: str) -> None:
        self._conditions.fail("configuration", f"not reloaded: {problem}")
        self._metrics.reloads.labels("failed").inc()

    def _load(self) -> Settings:
        try:
            settings = self._file.load()
        finally:
            self._seen = self._file.seen
        _check_listeners(self._started, settings)
        check_expectations(settings, self._moments)
        return settings


def _check_listeners(started: Settings, settings: Settings) -> None:
    """Holds that nobody is let in by where they are while other machines reach the listeners.

    The settings have been checked against the listeners that they name; those of the start stand.
    """
    if started.server.is_local:
        return
    for caller in settings.callers:
        if LOCAL in caller.identities:
            raise ConfigError(
                f"callers: {caller.name}: identity 'local' would let in whoever reaches the "
                "server, which listens for other machines until it is restarted"
            )
