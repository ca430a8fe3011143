"""Metrics for Prometheus; server/METRICS.md explains each.

Those of calls have the names of gRPC's own (gRFC A66). Labels have values of the contract or of the
configuration only: nothing that a client sends becomes a label.
"""

import platform
from collections.abc import Collection, Sequence
from importlib.metadata import version
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from token_authority_server.telemetry.instruments import CallMetrics, Children, ScrapedMetric

OTHER_METHOD: Final = "other"
"""The method of calls that name none of the server's: gRPC's word."""

# From a refusal (0.1 ms) to a batch of 500 that waits for other batches.
_DURATION_SECONDS: Final = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01),
    *(0.025, 0.05, 0.1, 0.25, 1.0, 5.0),
)
_LAG_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
_BATCH_TOKENS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500)
# Else each counter and histogram has one more series, with the time of its first use.
disable_created_metrics()  # type: ignore[no-untyped-call]  # prometheus_client does not annotate it
# Read here, where no event loop runs: they read files.
_VERSIONS: Final = (version("agora-token-authority"), platform.python_version(), version("grpcio"))
_PROCESS: Final = ProcessCollector(registry=None)


class Metrics:
    """The metrics of one server, in a separate registry."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._create_calls()
        self._create_decisions()
        self._create_health()
        self._create_reloads()
        self._create_expiries()
        self._create_dependencies()

    def _counter(self, name: str, documentation: str, labels: Sequence[str]) -> Children[Counter]:
        return Children(Counter(name, documentation, labels, registry=self._registry))

    def _gauge(self, name: str, documentation: str, labels: Sequence[str] = ()) -> Gauge:
        return Gauge(name, documentation, labels, registry=self._registry)

    def _scraped(
        self,
        name: str,
        documentation: str,
        labels: Sequence[str] = (),
        *,
        is_counter: bool = False,
    ) -> ScrapedMetric:
        return ScrapedMetric(
            name, documentation, labels, is_counter=is_counter, registry=self._registry
        )

    def _create_calls(self) -> None:
        self._started = self._counter("grpc_server_call_started", "Calls started", ["grpc_method"])
        self._duration = Children(
            Histogram(
                "grpc_server_call_duration_seconds",
                "Duration of calls, from headers to response",
                ["grpc_method", "grpc_status"],
                registry=self._registry,
                buckets=_DURATION_SECONDS,
            )
        )
        self.calls_in_flight = self._scraped(
            "token_authority_calls_in_flight", "Authenticated calls in flight"
        )
        self.max_calls_in_flight = self._scraped(
            "token_authority_calls_in_flight_limit",
            "Maximum number of authenticated calls in flight",
        )

    def _create_decisions(self) -> None:
        self._tokens = self._counter(
            "token_authority_tokens_issued", "Tokens issued", ["caller", "project", "token_type"]
        )
        self.batch_size = Histogram(
            "token_authority_batch_size",
            "Number of tokens in each issued batch",
            registry=self._registry,
            buckets=_BATCH_TOKENS,
        )
        self._refusals = self._counter(
            "token_authority_refusals",
            "Refused calls; caller is empty for unauthenticated calls",
            ["caller", "reason"],
        )

    def _create_health(self) -> None:
        build = self._gauge(
            "token_authority_build_info",
            "Always 1; the labels have the versions in use",
            ["version", "python", "grpcio"],
        )
        build.labels(*_VERSIONS).set(1)
        self.ready = self._gauge(
            "token_authority_ready", "1 if this instance can issue tokens, else 0"
        )
        self.degraded = self._gauge(
            "token_authority_degraded", "1 if the component is degraded, else 0", ["component"]
        )
        self.event_loop_lag = Histogram(
            "token_authority_event_loop_lag_seconds",
            "Event loop lag: how late a timer runs, measured twice a second",
            registry=self._registry,
            buckets=_LAG_SECONDS,
        )
        self.dropped_lines = self._scraped(
            "token_authority_log_lines_dropped", "Dropped log lines", is_counter=True
        )

    def _create_reloads(self) -> None:
        self._reloads = self._counter(
            "token_authority_configuration_reloads",
            "Configuration reloads, by outcome",
            ["outcome"],
        )
        for outcome in ("ok", "failed"):
            self._reloads.at(outcome)
        self._reload_successful = self._gauge(
            "token_authority_configuration_last_reload_successful",
            "1 if the last configuration that was read is in use, 0 if it was rejected",
        )
        self._reload_time = self._gauge(
            "token_authority_configuration_last_reload_success_timestamp_seconds",
            "When the configuration in use was loaded, in seconds since 1970",
        )
        self._reload_successful.set(1)
        self._reload_time.set_to_current_time()

    def _create_expiries(self) -> None:
        self.certificates = self._scraped(
            "token_authority_certificate_not_after_timestamp_seconds",
            "Expiry of the server's TLS certificate, and of the first client CA to expire, in "
            "seconds since 1970",
            ["certificate"],
        )
        self.api_keys = self._scraped(
            "token_authority_api_key_not_after_timestamp_seconds",
            "Expiry of API keys that have an end date, in seconds since 1970",
            ["caller", "api_key"],
        )
        self.signing_keys = self._scraped(
            "token_authority_signing_key_active_since_timestamp_seconds",
            "When each active key began to sign, in seconds since 1970",
            ["project", "product", "key_id"],
        )

    def _create_dependencies(self) -> None:
        self.jwks_time = self._scraped(
            "token_authority_jwks_last_fetch_success_timestamp_seconds",
            "When the identity provider's key set was last fetched, in seconds since 1970",
        )
        self.skipped_keys = self._gauge(
            "token_authority_jwks_keys_skipped", "Unusable keys in the identity provider's key set"
        )
        self.redis_up = self._scraped(
            "token_authority_redis_up", "1 if rate limits are counted in Redis, 0 while it fails"
        )
        self.audit_queue = self._scraped(
            "token_authority_audit_queue_length", "Groups of audit records that wait to be written"
        )
        self.audit_lag = self._scraped(
            "token_authority_audit_lag_seconds",
            "Age of the oldest audit record that is not yet written",
        )
        self.audit_lost = self._scraped(
            "token_authority_audit_records_lost",
            "Audit records that could not be written",
            is_counter=True,
        )

    def export_process(self) -> None:
        """Adds CPU time, memory, open files and start time of this process, on Linux."""
        self._registry.register(_PROCESS)

    def calls_of(self, method: str) -> CallMetrics:
        """Returns the metrics of a method's calls.

        Args:
            method: `package.Service/Method` of a registered method, or OTHER_METHOD.
        """
        return CallMetrics(self._started, self._duration, method)

    def issued(self, caller: str, project: str, token_type: str, count: int = 1) -> None:
        """Counts issued tokens."""
        self._tokens.at(caller, project, token_type).inc(count)

    def refused(self, caller: str, reason: str) -> None:
        """Counts a refused call; `caller` is "" for an unauthenticated one."""
        self._refusals.at(caller, reason).inc()

    def reloaded(self) -> None:
        """Counts a reload that was applied."""
        self._reloads.at("ok").inc()
        self._reload_successful.set(1)
        self._reload_time.set_to_current_time()

    def reload_failed(self) -> None:
        """Counts a reload that was rejected."""
        self._reloads.at("failed").inc()
        self._reload_successful.set(0)

    def keep(self, callers: Collection[str], projects: Collection[str]) -> None:
        """Removes the series of callers and projects that a reload has removed."""
        self._tokens.keep(lambda labels: labels[0] in callers and labels[1] in projects)
        self._refusals.keep(lambda labels: not labels[0] or labels[0] in callers)

    def exposition(self) -> bytes:
        """Returns all metrics in Prometheus' text format."""
        return generate_latest(self._registry)
