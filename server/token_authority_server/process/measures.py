"""Exports the state of the components as metrics, read at each scrape in another thread."""

import threading
import time
from collections.abc import Callable, Iterator

from token_authority_server.audit import AuditTrail
from token_authority_server.config import Settings
from token_authority_server.limits import InFlight, RateLimiter
from token_authority_server.telemetry.instruments import Sample
from token_authority_server.telemetry.metrics import Metrics


def export_settings(metrics: Metrics, settings: Callable[[], Settings]) -> None:
    """Exports the expiry of certificates and API keys, and since when keys are active.

    Args:
        metrics: Gets the values.
        settings: Returns the settings in use.
    """

    def certificates() -> Iterator[Sample]:
        if tls := settings().server.tls:
            for name, not_after in tls.expiries.items():
                yield (name,), not_after.timestamp()

    def api_keys() -> Iterator[Sample]:
        for caller in settings().callers:
            for key in caller.expiring_keys:
                if key.expires:
                    yield (caller.name, key.label), key.expires.timestamp()

    metrics.certificates.watch_each(certificates)
    metrics.api_keys.watch_each(api_keys)
    metrics.signing_keys.watch_each(_KeyAges(settings).read)


def export_limits(metrics: Metrics, in_flight: InFlight, limiter: RateLimiter) -> None:
    """Exports the calls in flight, their limit, and whether Redis works."""
    metrics.calls_in_flight.watch(lambda: in_flight.total)
    metrics.max_calls_in_flight.watch(lambda: in_flight.max_total)
    metrics.redis_up.watch(lambda: limiter.redis_up)


def export_trail(metrics: Metrics, trail: AuditTrail) -> None:
    """Exports what waits to be written to the audit trail, and what was lost."""
    if trail.is_enabled:
        metrics.audit_queue.watch(lambda: trail.queue_length)
        metrics.audit_lag.watch(lambda: trail.lag_seconds)
        metrics.audit_lost.watch(lambda: trail.lost)


class _KeyAges:
    """Since when each active key signs: as configured, else since a scrape first found it."""

    def __init__(self, settings: Callable[[], Settings]) -> None:
        self._settings = settings
        self._seen: dict[tuple[str, str, str], float] = {}
        # Keys of the first scrape are active since the start.
        self._newly_seen = time.time()
        # Scrapes run in threads.
        self._lock = threading.Lock()

    def read(self) -> list[Sample]:
        """Returns the labels of each active key and the time in seconds since 1970."""
        with self._lock:
            # Keys that are not active any more are left out, and forgotten.
            self._seen = {
                (name, product, row.id): (
                    row.active_since.timestamp()
                    if row.active_since
                    else self._seen.get((name, product, row.id), self._newly_seen)
                )
                for name, project in self._settings().projects.items()
                for product, row in project.active_rows()
            }
            self._newly_seen = time.time()
            return list(self._seen.items())
