"""Observability of calls: a log line, metrics, and an audit record of each refusal that matters.

None of them contains a token or a secret.
"""

import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from token_authority_server.audit import AuditTrail, redact_tokens
from token_authority_server.errors import Reason, Refusal
from token_authority_server.identity.call_context import CallContext
from token_authority_server.rpc.line_limit import LineLimit
from token_authority_server.telemetry.instruments import CallMetrics
from token_authority_server.telemetry.log import Logger
from token_authority_server.telemetry.metrics import OTHER_METHOD, Metrics
from token_authority_server.telemetry.tracing import CallSpan, CallTracer

# Not decisions about a caller: they are in the log only.
_NOT_ON_RECORD: Final = frozenset(
    (Reason.INVALID_REQUEST, Reason.DRAINING, Reason.INTERNAL_ERROR, Reason.AUDIT_UNAVAILABLE)
)
# The violations of a batch may be thousands.
_MAX_LOGGED: Final = 10
_ISSUED: Final = "issued"
# Unauthenticated clients choose it.
_MAX_PATH: Final = 128


@dataclass(slots=True)
class Call:
    """A call in progress."""

    method: str
    peer: str
    metrics: CallMetrics
    """Those of its method."""
    request_id: str = ""
    context: CallContext | None = None
    """None until the call is authenticated."""
    started_ns: int = field(default_factory=time.perf_counter_ns)
    span: CallSpan | None = None
    """None without tracing, and until the call is authenticated."""

    @property
    def caller(self) -> str:
        """The caller's name; "" before authentication."""
        return self.context.caller.name if self.context else ""

    def __post_init__(self) -> None:
        self.metrics.start()


class Observer:
    """Logs, counts and records the end of every call.

    Every issued token has a line. Of other calls, the log gets 20 a second from each caller, and
    ten from all unauthenticated clients together, with the number of those left out. Metrics count
    all calls, and all refusals of callers are recorded.

    Args:
        logger: Gets a line for each call.
        metrics: Counts calls.
        trail: Gets a record of each refusal; answers are recorded where they are decided.
        clock: Seconds, monotonic.
        tracer: Starts a span for each authenticated call; None: no tracing.
    """

    def __init__(
        self,
        logger: Logger,
        metrics: Metrics,
        trail: AuditTrail,
        clock: Callable[[], float] = time.monotonic,
        tracer: CallTracer | None = None,
    ) -> None:
        self.tracer = tracer
        self._logger = logger
        self._metrics = metrics
        self._trail = trail
        self._lines = LineLimit(self._log_suppressed, clock)
        self._other_calls = metrics.calls_of(OTHER_METHOD)

    def calls_of(self, path: str) -> CallMetrics:
        """Returns the metrics of a registered method, by `/package.Service/Method`."""
        return self._metrics.calls_of(path.removeprefix("/"))

    def trace(self, call: Call, path: str, metadata: Iterable[tuple[str, str | bytes]]) -> str:
        """Starts the span of an authenticated call; returns its trace id, "" without tracing.

        Unauthenticated calls get no span: they could flood the collector.
        """
        if not self.tracer:
            return ""
        # A header with a token would pass it on to the collector.
        headers = {
            name: value
            for name, value in metadata
            if name in self.tracer.headers
            and isinstance(value, str)
            and redact_tokens(value) == value
        }
        age_ns = time.perf_counter_ns() - call.started_ns
        call.span = self.tracer.start(path.removeprefix("/"), headers, age_ns)
        return call.span.trace_id

    def answered(self, call: Call, event: str, about: Mapping[str, Any]) -> None:
        """Reports a call that was answered; `about` has the fields of its log line."""
        if event == _ISSUED or self._lines.allow(call.caller):
            self._logger.info(event, **about, **_described(call))
        self._count(call, "OK")

    def cancelled(self, call: Call) -> None:
        """Reports a call that the client cancelled; it may be on record all the same."""
        if self._lines.allow(call.caller):
            self._logger.info("cancelled", **_described(call))
        self._count(call, "CANCELLED")

    def refused(self, call: Call, refusal: Refusal) -> None:
        """Reports a refused call."""
        reason = refusal.reason
        self._count(call, reason.code.value, reason.value)
        self._metrics.refused(call.caller, reason.value)
        is_logged = self._lines.allow(call.caller)
        if not (is_logged or call.context):
            return
        # A name in a JWT or a certificate may hold a token too.
        detail = {"detail": redact_tokens(refusal.detail)} if refusal.detail else {}
        # Merged, not passed side by side: some names, like `caller`, both have.
        if is_logged:
            line = {**_dynamic(refusal), **detail, **_described(call), "reason": reason.value}
            self._logger.info("refused", **line)
        if reason not in _NOT_ON_RECORD:
            self._trail.record_soon([_refusal_record(call, refusal, detail)])

    def unknown_method(self, path: str) -> None:
        """Reports a call of a method that does not exist, which grpc refuses."""
        self._other_calls.start()
        self._other_calls.end("UNIMPLEMENTED", 0)
        if self._lines.allow(""):
            method = redact_tokens(path[:_MAX_PATH])
            self._logger.info("refused", method=method, reason="UNIMPLEMENTED")

    def failed(self, call: Call, refusal: Refusal, defect: Exception) -> None:
        """Reports a call that failed by a defect of the server.

        The log has the place and not the exception's text, which may hold a secret.
        """
        frames = traceback.extract_tb(defect.__traceback__)
        at = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "unknown"
        self._logger.error(
            "failed",
            exception=type(defect).__name__,
            at=at,
            **refusal.metadata,
            **_described(call),
        )
        self._count(call, "INTERNAL", Reason.INTERNAL_ERROR.value)

    def _count(self, call: Call, code: str, reason: str = "") -> None:
        seconds = (time.perf_counter_ns() - call.started_ns) / 1e9
        call.metrics.end(code, seconds)
        if call.span:
            call.span.end(code, call.caller, reason)

    def _log_suppressed(self, caller: str, count: int) -> None:
        if caller:
            self._logger.warning("calls not logged", caller=caller, count=count)
        else:
            self._logger.warning("unauthenticated refusals not logged", count=count)


def _refusal_record(call: Call, refusal: Refusal, detail: Mapping[str, str]) -> dict[str, Any]:
    context = call.context
    record = (
        context.record("refused")
        if context
        else {"event": "refused", "peer": call.peer, "method": call.method}
    )
    return {
        **record,
        **_metadata(refusal),
        **refusal.audit_fields,
        **detail,
        "reason": refusal.reason.value,
    }


def _dynamic(refusal: Refusal) -> dict[str, str]:
    """Returns the violated rules, else the values of the message."""
    if refusal.violations:
        logged = refusal.violations[:_MAX_LOGGED]
        rules = [f"{violation.field}={violation.reason}" for violation in logged]
        if len(logged) < len(refusal.violations):
            rules.append(f"and {len(refusal.violations) - len(logged)} more")
        return {"violations": ",".join(rules)}
    return _metadata(refusal)


def _metadata(refusal: Refusal) -> dict[str, str]:
    """Returns the values of the message, with tokens redacted: callers choose some of them."""
    return {name: redact_tokens(text) for name, text in refusal.metadata.items()}


def _described(call: Call) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "method": call.method,
        "peer": call.peer,
        "duration_us": (time.perf_counter_ns() - call.started_ns) // 1000,
    }
    if call.context:
        fields["caller"] = call.caller
        fields["identity"] = call.context.identity
    if call.request_id:
        fields["request_id"] = call.request_id
    if call.span:
        fields["trace_id"] = call.span.trace_id
    return fields
