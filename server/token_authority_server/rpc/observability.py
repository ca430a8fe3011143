"""What is left of each call: one log line, its metrics, and a record of each refusal that matters.

Never a token or a secret.
"""

import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from structlog.typing import FilteringBoundLogger

from token_authority_server.audit import AuditTrail, redact_tokens
from token_authority_server.authority import CallContext
from token_authority_server.errors import Reason, Refusal
from token_authority_server.telemetry.metrics import Metrics

# Not decisions about a caller: the log alone has them.
_NOT_ON_RECORD: Final = frozenset(
    (Reason.INVALID_REQUEST, Reason.DRAINING, Reason.INTERNAL_ERROR, Reason.AUDIT_UNAVAILABLE)
)
# A batch may have thousands.
_MAX_LOGGED: Final = 10
# Whoever has no credential must not be able to fill the disk.
_MAX_UNKNOWN_PER_SECOND: Final = 10


@dataclass(slots=True)
class Call:
    """A call on its way."""

    method: str
    peer: str
    request_id: str = ""
    context: CallContext | None = None
    """Known once the call is authenticated."""
    started_ns: int = field(default_factory=time.perf_counter_ns)

    @property
    def caller(self) -> str:
        """The caller's name; "" while it is not known."""
        return self.context.caller.name if self.context else ""


class Observer:
    """Sees the end of every call.

    Args:
        logger: Gets a line for each.
        metrics: Counts them.
        trail: Gets a record of each refusal; answers are recorded where they are decided.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        logger: FilteringBoundLogger,
        metrics: Metrics,
        trail: AuditTrail,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._logger = logger
        self._metrics = metrics
        self._trail = trail
        self._clock = clock
        self._second = 0
        self._unknown = 0

    def answered(self, call: Call, event: str, about: Mapping[str, Any]) -> None:
        """The call was answered; `about` says with what."""
        self._logger.info(event, **about, **_described(call))
        self._count(call, "OK")

    def cancelled(self, call: Call) -> None:
        """The client gave the call up, or its deadline came; it may be on record all the same."""
        self._logger.info("cancelled", **_described(call))
        self._count(call, "CANCELLED")

    def refused(self, call: Call, refusal: Refusal) -> None:
        """The call was refused."""
        reason = refusal.reason
        # A name in a JWT or a certificate may be anything too.
        detail = {"detail": redact_tokens(refusal.detail)} if refusal.detail else {}
        # Merged, not passed side by side: some names, like `caller`, both have.
        line = {**_dynamic(refusal), **detail, **_described(call), "reason": reason.value}
        self._logger.info("refused", **line)
        self._count(call, reason.code.value)
        self._metrics.refusals.labels(call.caller, reason.value).inc()
        if reason not in _NOT_ON_RECORD and (call.context or self._is_worth_a_record()):
            context = call.context
            record = (
                context.record("refused")
                if context
                else {"event": "refused", "peer": call.peer, "method": call.method}
            )
            self._trail.record_soon(
                [
                    {
                        **record,
                        **_metadata(refusal),
                        **refusal.audit_fields,
                        **detail,
                        "reason": reason.value,
                    }
                ]
            )

    def failed(self, call: Call, refusal: Refusal, defect: Exception) -> None:
        """The call met a defect of ours.

        Logged is where, not what: an exception's text may hold anything, a secret too.
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
        self._count(call, "INTERNAL")

    def _count(self, call: Call, code: str) -> None:
        seconds = (time.perf_counter_ns() - call.started_ns) / 1e9
        self._metrics.call_duration.labels(call.method, code).observe(seconds)

    def _is_worth_a_record(self) -> bool:
        second = int(self._clock())
        if second != self._second:
            self._second, self._unknown = second, 0
        self._unknown += 1
        return self._unknown <= _MAX_UNKNOWN_PER_SECOND


def _dynamic(refusal: Refusal) -> dict[str, str]:
    """Returns what the refusal is about: the broken rules, or the values of its message."""
    if refusal.violations:
        told = refusal.violations[:_MAX_LOGGED]
        rules = [f"{violation.field}={violation.reason}" for violation in told]
        if len(told) < len(refusal.violations):
            rules.append(f"and {len(refusal.violations) - len(told)} more")
        return {"violations": ",".join(rules)}
    return _metadata(refusal)


def _metadata(refusal: Refusal) -> dict[str, str]:
    """Returns the values of its message; what the caller sent is among them."""
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
    return fields
