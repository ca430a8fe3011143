"""Metrics for Prometheus. Those of calls have the names of gRPC's own (gRFC A66)."""

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

# From a refusal (0.1 ms) to a batch of 500 that waits for other batches.
_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)


class Metrics:
    """The metrics of one server, in a registry of their own."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self._registry = registry
        self.call_duration = Histogram(
            "grpc_server_call_duration_seconds",
            "Duration of calls, from headers to response",
            ["grpc_method", "grpc_status"],
            registry=registry,
            buckets=_BUCKETS,
        )
        self._calls_in_flight = Gauge(
            "token_authority_calls_in_flight", "Calls in flight", registry=registry
        )
        self.tokens = Counter(
            "token_authority_tokens_issued",
            "Tokens issued",
            ["caller", "project", "kind"],
            registry=registry,
        )
        self.refusals = Counter(
            "token_authority_refusals",
            "Refused calls",
            ["caller", "reason"],
            registry=registry,
        )
        self.reloads = Counter(
            "token_authority_configuration_reloads",
            "Configuration reloads, by outcome",
            ["outcome"],
            registry=registry,
        )
        self.degraded = Gauge(
            "token_authority_degraded",
            "1 if the component is degraded, else 0",
            ["component"],
            registry=registry,
        )

        self.skipped_keys = Gauge(
            "token_authority_jwks_keys_skipped",
            "Unusable keys in the identity provider's key set",
            registry=registry,
        )
        self.ready = Gauge(
            "token_authority_ready",
            "1 if this instance can issue tokens, else 0",
            registry=registry,
        )

    def watch_calls(self, in_flight: Callable[[], int]) -> None:
        """Exports the number of calls in flight, read at each scrape."""
        self._calls_in_flight.set_function(in_flight)

    def watch_log(self, dropped: Callable[[], int]) -> None:
        """Exports the number of log lines dropped since the start, read at each scrape."""
        self._registry.register(_DroppedLines(dropped))

    def watch_certificate(self, not_after: Callable[[], float]) -> None:
        """Exports when the TLS certificate expires, in seconds since 1970, read at each scrape."""
        Gauge(
            "token_authority_certificate_not_after_seconds",
            "Expiry of the server's TLS certificate, in seconds since 1970",
            registry=self._registry,
        ).set_function(not_after)

    def exposition(self) -> bytes:
        """Returns all metrics in Prometheus' text format."""
        return generate_latest(self._registry)


class _DroppedLines(Collector):
    """A counter whose value is kept elsewhere."""

    def __init__(self, dropped: Callable[[], int]) -> None:
        self._dropped = dropped

    def collect(self) -> Iterable[Metric]:
        """Returns the counter as of now."""
        yield CounterMetricFamily(
            "token_authority_log_lines_dropped",
            "Dropped log lines",
            value=self._dropped(),
        )
