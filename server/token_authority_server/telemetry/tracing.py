"""OpenTelemetry spans of calls, exported over OTLP/HTTP; needs the extra [otel].

Off unless the environment names a collector (OTEL_EXPORTER_OTLP_ENDPOINT). OpenTelemetry itself
reads the other standard OTEL_ variables. Names and attributes follow the semantic conventions for
gRPC servers. No span contains a token, a credential or a request.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any, Final

from token_authority_server.telemetry.log import Logger

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_PROTOCOL: Final = "http/protobuf"
_EXPORTER: Final = "opentelemetry.exporter.otlp.proto.http"
_SERVICE: Final = "token-authority"
_FLUSH_SECONDS: Final = 2.0
_QUIET_SECONDS: Final = 60.0
# Of a gRPC server, only these are errors in a span: the others are the client's fault.
_ERRORS: Final = frozenset(
    ("UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS")
)


class CallSpan:
    """The span of a call."""

    def __init__(self, span: Any, error: Any) -> None:
        self._span = span
        self._error = error
        self.trace_id = f"{span.get_span_context().trace_id:032x}"
        """32 hex digits."""

    def end(self, status: str, caller: str, reason: str) -> None:
        """Ends the span.

        Args:
            status: The name of the call's status code.
            caller: The caller's name.
            reason: Why it was refused; "" if it was not.
        """
        self._span.set_attribute("rpc.response.status_code", status)
        self._span.set_attribute("token_authority.caller", caller)
        if reason:
            self._span.set_attribute("token_authority.reason", reason)
        if status in _ERRORS:
            self._span.set_attribute("error.type", status)
            self._span.set_status(self._error)
        self._span.end()


class CallTracer:
    """Starts the spans of calls.

    Args:
        provider: OpenTelemetry's TracerProvider.
    """

    def __init__(self, provider: Any) -> None:
        from opentelemetry import propagate, trace  # noqa: PLC0415  # an optional package

        self._provider = provider
        self._tracer = provider.get_tracer("token_authority_server")
        self._kind = trace.SpanKind.SERVER
        self._error = trace.StatusCode.ERROR
        self._textmap: Any = propagate.get_global_textmap()
        self.headers: frozenset[str] = frozenset(self._textmap.fields)
        """The headers that carry a trace, e.g. `traceparent`."""

    def start(self, method: str, headers: Mapping[str, str], age_ns: int) -> CallSpan:
        """Starts the span of a call, in the trace of its headers or, without one, in a new trace.

        Args:
            method: `package.Service/Method`.
            headers: The call's values of `self.headers`.
            age_ns: How long ago the call began, in nanoseconds.
        """
        span = self._tracer.start_span(
            method,
            context=self._textmap.extract(headers),
            kind=self._kind,
            attributes={"rpc.system.name": "grpc", "rpc.method": method},
            start_time=time.time_ns() - age_ns,
        )
        return CallSpan(span, self._error)

    def close(self) -> None:
        """Exports the remaining spans; waits at most two seconds."""
        # A collector that does not answer must not delay the end of the process.
        thread = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        thread.start()
        thread.join(_FLUSH_SECONDS)


def make_tracer(environment: Mapping[str, str], version: str, logger: Logger) -> CallTracer | None:
    """Sets up tracing as the environment configures it.

    Args:
        environment: The process's environment variables.
        version: This server's version.
        logger: Gets warnings: the server starts even if traces cannot be exported.

    Returns:
        The tracer; None if traces are off.
    """
    if (
        environment.get("OTEL_SDK_DISABLED", "").lower() == "true"
        or environment.get("OTEL_TRACES_EXPORTER", "otlp") != "otlp"
        or not any(environment.get(name) for name in _ENDPOINTS)
    ):
        return None
    protocol = next(filter(None, map(environment.get, _PROTOCOLS)), _PROTOCOL)
    if protocol != _PROTOCOL:
        logger.warning("traces are off: unsupported OTLP protocol", supported=_PROTOCOL)
        return None
    if not _is_installed():
        logger.warning("traces are off: install agora-token-authority[otel]")
        return None
    _report_problems(logger)
    return CallTracer(_provider(version))


def _is_installed() -> bool:
    try:
        return find_spec(_EXPORTER) is not None and find_spec("opentelemetry.sdk") is not None
    except ModuleNotFoundError:
        return False


def _provider(version: str) -> Any:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415  # optional
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    defaults = Resource.create({"service.name": _SERVICE, "service.version": version})
    # The sampler is that of OTEL_TRACES_SAMPLER.
    provider = TracerProvider(
        resource=defaults.merge(OTELResourceDetector().detect()), shutdown_on_exit=False
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def _report_problems(logger: Logger) -> None:
    """Logs the place of OpenTelemetry's warnings once a minute; their text may have a secret."""
    root = logging.getLogger("opentelemetry")
    root.handlers[:] = [_Problems(logger, time.monotonic)]
    root.propagate = False


class _Problems(logging.Handler):
    def __init__(self, logger: Logger, clock: Callable[[], float]) -> None:
        super().__init__(logging.WARNING)
        self._logger = logger
        self._clock = clock
        self._quiet_until = float("-inf")

    def emit(self, record: logging.LogRecord) -> None:
        """Logs the place of a problem."""
        if self._clock() >= self._quiet_until:
            self._quiet_until = self._clock() + _QUIET_SECONDS
            at = f"{record.name}:{record.lineno}"
            self._logger.warning("traces are not exported", at=at)
