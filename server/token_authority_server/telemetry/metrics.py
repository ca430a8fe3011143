"""What the server counts, for Prometheus. Names of calls are those of gRPC's own (gRFC A66)."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

# From a refusal in a tenth of a millisecond to a batch of 500 behind others.
_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)


class Metrics:
    """One server's counters, in a registry of their own."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self._registry = registry
        self.call_duration = Histogram(
            "grpc_server_call_duration_seconds",
            "Time from a call's message to its answer",
            ["grpc_method", "grpc_status"],
            registry=registry,
            buckets=_BUCKETS,
        )
        self._calls_in_flight = Gauge(
            "token_authority_calls_in_flight", "Calls under way", registry=registry
        )
        self.tokens = Counter(
            "token_authority_tokens_issued",
            "Tokens issued",
            ["caller", "project", "kind"],
            registry=registry,
        )
        self.refusals = Counter(
            "token_authority_refusals",
            "Calls refused",
            ["caller", "reason"],
            registry=registry,
        )
        self.reloads = Counter(
            "token_authority_configuration_reloads",
            "Times that a changed configuration was read",
            ["outcome"],
            registry=registry,
        )
        self.degraded = Gauge(
            "token_authority_degraded",
            "Whether a component is not as it should be",
            ["component"],
            registry=registry,
        )

        self.skipped_keys = Gauge(
            "token_authority_jwks_keys_skipped",
            "Keys of the identity provider's key set that cannot be used",
            registry=registry,
        )

    def watch_calls(self, in_flight: Callable[[], int]) -> None:
        """Shows how many calls are under way, whenever somebody asks."""
        self._calls_in_flight.set_function(in_flight)

    def exposition(self) -> bytes:
        """Returns all of them in Prometheus' text format."""
        return generate_latest(self._registry)
