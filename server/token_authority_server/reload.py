"""Notices that the configuration changed, and goes on with the new one if it is good.

A new file that cannot be used changes nothing: the server goes on with what it has, and says so.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, cast

from structlog.typing import FilteringBoundLogger

from token_authority_server.audit import AuditTrail
from token_authority_server.conditions import Conditions
from token_authority_server.config import ConfigError, ConfigFile, Settings
from token_authority_server.config.section import Section
from token_authority_server.expectations import check_expectations
from token_authority_server.keyring import SigningKey
from token_authority_server.kinds.base import Moment
from token_authority_server.metrics import Metrics

# Listeners, the log and the sinks stand until the server is restarted.
_FIXED: Final = ("server", "log", "limits", "audit")
_RELOADED: Final = frozenset(("tls",))


class Reloader:
    """Watches a configuration file, and the files that it names.

    It looks at their times and sizes rather than being told by the system: that sees through the
    links that Kubernetes swaps, works on network file systems, and takes microseconds.

    Args:
        file: What to watch.
        settings: What was loaded from it.
        adopt: Goes on with other settings.
        conditions: Told of a bad file.
        logger: Told what changed.
        trail: Gets a record of each change.
        metrics: Counts reloads.
        moments: Reads clock and entropy, to try the expectations with.
    """

    def __init__(
        self,
        file: ConfigFile,
        settings: Settings,
        adopt: Callable[[Settings], None],
        conditions: Conditions,
        logger: FilteringBoundLogger,
        trail: AuditTrail,
        metrics: Metrics,
        moments: Callable[[], Moment],
    ) -> None:
        self._moments = moments
        self._file = file
        self._settings = settings
        self._adopt = adopt
        self._conditions = conditions
        self._logger = logger
        self._trail = trail
        self._metrics = metrics
        self._now = asyncio.Event()
        self._seen = _signature(file.files)

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
            seen = await asyncio.to_thread(_signature, self._file.files)
            if asked or seen != self._seen:
                await self._reload()

    async def _reload(self) -> None:
        try:
            settings = await asyncio.to_thread(self._load)
        except ConfigError as error:
            self._conditions.fail("configuration", f"not reloaded: {error}")
            self._metrics.reloads.labels("failed").inc()
            return
        before, self._settings = self._settings, settings
        self._adopt(settings)
        self._conditions.recover("configuration")
        self._metrics.reloads.labels("ok").inc()
        changes = dict(_changes(before, settings))
        self._logger.info("configuration reloaded", **changes)
        for warning in settings.warnings():
            self._logger.warning(warning)
        if changes:
            self._trail.record_soon([{"event": "configuration", **changes}])

    def _load(self) -> Settings:
        # Before reading: what changes while it is read is read once more.
        self._seen = _signature(self._file.files)
        settings = self._file.load()
        self._seen = {**_signature(self._file.files), **self._seen}
        check_expectations(settings, self._moments)
        return settings


def _signature(files: Iterable[Path]) -> dict[Path, Any]:
    """Returns what changes when a file does, or when a link leads to another one."""
    return {path: _state(path) for path in files}


def _state(path: Path) -> Any:
    try:
        status = os.stat(path)  # noqa: PTH116  # as Path.stat, in one call
    except OSError as error:
        return error.errno
    return status.st_mtime_ns, status.st_size, status.st_ino, status.st_dev


def _changes(before: Settings, after: Settings) -> Mapping[str, Any]:
    """Says by name what changed; never a value that may be a secret."""
    changes: dict[str, Any] = {}
    old, new = _keys(before), _keys(after)
    if keys := sorted(
        f"{name}: {_state_of(new.get(name))}"
        for name in old.keys() | new.keys()
        if _parts_of(old.get(name)) != _parts_of(new.get(name))
    ):
        changes["keys"] = keys
    callers = {row.name for row in before.callers if row not in after.callers} | {
        row.name for row in after.callers if row not in before.callers
    }
    if callers:
        changes["callers"] = sorted(callers)
    fixed = [
        f"{section}.{name}"
        for section in _FIXED
        for name in cast("Section", getattr(after, section)).__class__.model_fields
        if name not in _RELOADED
        and _text(getattr(before, section), name) != _text(getattr(after, section), name)
    ]
    if fixed:
        changes["restart_needed"] = fixed
    return changes


def _text(section: Any, name: str) -> str:
    """Returns a value that can be compared; a secret is one that does not show."""
    return repr(getattr(section, name))


def _keys(settings: Settings) -> dict[str, SigningKey]:
    return {
        f"{name}/{key.key_id}": key
        for name, project in settings.projects.items()
        for key in project.signing_keys()
    }


def _parts_of(key: SigningKey | None) -> tuple[object, ...]:
    return (key.state, key.app_id, key.retired_ms, key.confidential()) if key else ()


def _state_of(key: SigningKey | None) -> str:
    return key.state.value if key else "removed"
