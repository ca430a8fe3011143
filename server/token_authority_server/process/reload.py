"""Reload: detects changes of the configuration, and applies the new one if it is valid.

An invalid configuration is rejected: the previous one stays in use and the error is logged.
"""

import asyncio
import contextlib
import gc
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

from token_authority_server.audit import AuditTrail
from token_authority_server.authorization import PolicySnapshot
from token_authority_server.config import ConfigError, ConfigFile, Settings
from token_authority_server.config.changes import changes_between, switch_warnings
from token_authority_server.config.files import ReadProgress, read_problems, signatures_of
from token_authority_server.config.load import Attempt
from token_authority_server.families import Moment
from token_authority_server.identity.directory import LOCAL
from token_authority_server.process.background import Job, ReadError, freeze, yielding_to_calls
from token_authority_server.process.change_report import for_log, for_trail
from token_authority_server.process.explain import check_expectations
from token_authority_server.telemetry.health import DegradedComponents
from token_authority_server.telemetry.log import Logger
from token_authority_server.telemetry.metrics import Metrics

_T = TypeVar("_T")

_PATIENCE_SECONDS: Final = 5.0
"""How long reading one file may take before the configuration is degraded."""
_MAX_HUNG: Final = 3
"""Threads that may hang in a read at once: more than one, since the path may lead elsewhere by
now."""
_RETRY_SECONDS: Final = 2.0
"""The longest time between two attempts to read what could not be read."""
_REMINDER_SECONDS: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class _Loaded:
    """An attempt with all that is computed from it before the event loop applies it."""

    attempt: Attempt
    policy: PolicySnapshot | None = None
    changes: Mapping[str, list[str]] = field(default_factory=dict[str, list[str]])
    warnings: tuple[str, ...] = ()
    error: ConfigError | None = None


class Reloader:
    """Watches a configuration file, and the files that it names.

    It polls times and sizes: that sees through the links that Kubernetes swaps, works on network
    file systems, and takes microseconds. Reading, validating and comparing happen in a thread.

    Args:
        file: What to watch.
        settings: What was loaded from it.
        apply: Replaces the settings and the policy built from them; returns the previous policy.
        degraded: Reports a configuration that cannot be applied.
        logger: Reports what changed.
        trail: Gets a record of each change.
        metrics: Counts reloads.
        moments: Reads clock and entropy, to check the expectations with.
    """

    def __init__(
        self,
        file: ConfigFile,
        settings: Settings,
        apply: Callable[[Settings, PolicySnapshot], PolicySnapshot],
        degraded: DegradedComponents,
        logger: Logger,
        trail: AuditTrail,
        metrics: Metrics,
        moments: Callable[[], Moment],
    ) -> None:
        self._moments = moments
        self._file = file
        self._settings = settings
        # Without the rows, which would stay in memory for as long as the server runs.
        self._started = settings.model_copy(update={"projects": {}, "callers": (), "tests": ()})
        self._apply = apply
        self._degraded = degraded
        self._logger = logger
        self._trail = trail
        self._metrics = metrics
        self._requested = asyncio.Event()
        # From before the files were read: what has changed since then is a change.
        self._seen = file.signatures
        self._unread: Mapping[Path, str] = {}
        self._must_retry = False
        self._reminded = -math.inf
        self._hung: list[Job[Any]] = []

    def reload_now(self) -> None:
        """Reads the files whether they have changed or not."""
        self._requested.set()

    async def run(self) -> None:
        """Watches until it is cancelled."""
        await self._remind()
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._requested.wait(), self._interval())
            requested = self._requested.is_set() or self._must_retry
            polls = self._settings.server.reload_interval or self._unread
            self._requested.clear()
            self._must_retry = False
            try:
                if requested or (polls and await self._in_thread(self._has_changed)):
                    await self._reload()
                await self._remind()
            except ReadError as error:
                self._must_retry = True
                self._fail(str(error))
            except Exception as defect:  # noqa: BLE001  # or no later change would be noticed
                self._fail(type(defect).__name__)

    def _interval(self) -> float:
        interval = self._settings.server.reload_interval.total_seconds()
        if self._must_retry or self._unread:
            return min(interval or _RETRY_SECONDS, _RETRY_SECONDS)
        return interval or _REMINDER_SECONDS

    def _has_changed(self, progress: ReadProgress) -> bool:
        """Whether a file has changed, or an unreadable one is readable or has another problem."""
        return (
            signatures_of(self._seen, progress) != self._seen
            or read_problems(self._unread, progress) != self._unread
        )

    async def _reload(self) -> None:
        with yielding_to_calls():
            loaded = await self._in_thread(self._load)
            new_objects, *_ = gc.get_count()
            self._seen = loaded.attempt.sources.signatures
            self._unread = loaded.attempt.sources.problems
            self._must_retry = not loaded.attempt.is_settled
            if loaded.error or loaded.policy is None:
                self._fail(str(loaded.error))
                return
            await self._replace(loaded.attempt.settings(), loaded.policy)
            freeze(new_objects)
        self._reminded = -math.inf
        self._degraded.recover("configuration")
        self._metrics.reloaded()
        self._logger.info("configuration reloaded", **for_log(loaded.changes))
        for warning in loaded.warnings:
            self._logger.warning(warning)
        for record in for_trail(loaded.changes):
            self._trail.record_soon([record])
            await asyncio.sleep(0)

    async def _remind(self) -> None:
        """Logs which API keys expire: at the start, after a reload, and once a day."""
        if time.monotonic() < self._reminded + _REMINDER_SECONDS:
            return
        self._reminded = time.monotonic()
        now = datetime.fromtimestamp(self._moments().now_ms / 1000, UTC)
        for warning in await self._in_thread(lambda _: list(self._settings.expirations(now))):
            self._logger.warning(warning)

    async def _replace(self, settings: Settings, policy: PolicySnapshot) -> None:
        old = _pieces(self._settings, self._apply(settings, policy))
        self._settings = settings
        await self._in_thread(lambda _: _release(old))

    async def _in_thread(self, function: Callable[[ReadProgress], _T]) -> _T:
        self._hung = [job for job in self._hung if job.is_running]
        if len(self._hung) >= _MAX_HUNG:
            raise ReadError(f"{self._file.path}: cannot be read: earlier reads still hang")
        job = Job(function)
        try:
            return await job.result(_PATIENCE_SECONDS)
        except ReadError:
            self._hung.append(job)
            raise

    def _fail(self, problem: str) -> None:
        self._degraded.fail("configuration", f"not reloaded: {problem}")
        self._metrics.reload_failed()

    def _load(self, progress: ReadProgress) -> _Loaded:
        """Reads and validates the files, and compares them with the settings in use."""
        attempt = self._file.read_settled(progress)
        pieces: list[Any] = []
        try:
            return self._judge(attempt, pieces)
        except ConfigError as rejected:
            # The frames of a traceback hold their variables.
            error = rejected.with_traceback(None)
        # The event loop must not have to free what was rejected.
        attempt = Attempt(error, attempt.sources, is_settled=attempt.is_settled)
        _release(pieces)
        return _Loaded(attempt, error=error)

    def _judge(self, attempt: Attempt, pieces: list[Any]) -> _Loaded:
        """Checks what was read, and compares it; lists the parts of a policy made for that."""
        settings = attempt.settings()
        policy = settings.policy()
        pieces += _pieces(settings, policy)
        _check_listeners(self._started, settings)
        check_expectations(settings, self._moments, policy)
        changes = changes_between(self._settings, settings, self._started)
        switches = switch_warnings(self._settings, settings, self._moments().now_ms)
        return _Loaded(attempt, policy, changes, (*settings.warnings(), *switches))


def _pieces(settings: Settings, policy: PolicySnapshot) -> list[Any]:
    """Lists the parts of a configuration, which keeps them alive."""
    callers = policy.callers.by_name.values()
    return [
        *settings.projects.values(),
        *settings.callers,
        *settings.authorization.denials,
        *(grant for row in settings.callers for grant in row.grants),
        *callers,
        *(grant for caller in callers for grant in caller.grants),
        *policy.denials.rules,
        policy.known_secrets,
        policy.denials,
    ]


def _release(pieces: list[Any]) -> None:
    """Frees them one by one: freed all at once, they would hold the GIL."""
    while pieces:
        pieces.pop()


def _check_listeners(started: Settings, settings: Settings) -> None:
    """Rejects a reload that authenticates callers as `local` while other machines can connect.

    The settings were checked against the listeners that they name, but the ones in use are still
    those of the start.
    """
    if started.server.is_local:
        return
    for caller in settings.callers:
        if LOCAL in caller.identity_texts:
            raise ConfigError(
                f"[[callers]] caller {caller.name!r}: identities: 'local' would admit every "
                "client that reaches the server, and other machines can reach it: restart the "
                "server to apply the new listeners"
            )
