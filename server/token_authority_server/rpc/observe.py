"""One log line for each call: what was asked and what became of it, never a token or a secret."""

import time
import traceback
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from grpc import aio
from structlog.typing import FilteringBoundLogger

from token_authority_server.errors import Refusal

_REQUEST_ID: Final = "x-request-id"
# Callers choose it: enough for any tracing system, too little to flood the log.
_MAX_REQUEST_ID: Final = 128

_Context: TypeAlias = "aio.ServicerContext[Any, Any]"


class CallLog:
    """Writes the lines."""

    def __init__(self, logger: FilteringBoundLogger) -> None:
        self._logger = logger

    def answered(
        self,
        context: _Context,
        method: str,
        event: str,
        about: Mapping[str, Any],
        started_ns: int,
    ) -> None:
        """The call was answered; `about` says with what."""
        self._logger.info(event, method=method, **about, **_call(context, started_ns))

    def refused(self, context: _Context, method: str, refusal: Refusal, started_ns: int) -> None:
        """The call was refused."""
        self._logger.info(
            "refused",
            method=method,
            reason=refusal.reason.value,
            **_dynamic(refusal),
            **_call(context, started_ns),
        )

    def failed(
        self,
        context: _Context,
        method: str,
        refusal: Refusal,
        defect: Exception,
        started_ns: int,
    ) -> None:
        """The call met a defect of ours.

        Logged is where, not what: an exception's text may hold anything, a secret too.
        """
        frames = traceback.extract_tb(defect.__traceback__)
        at = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "unknown"
        self._logger.error(
            "failed",
            method=method,
            exception=type(defect).__name__,
            at=at,
            **refusal.metadata,
            **_call(context, started_ns),
        )


def _dynamic(refusal: Refusal) -> dict[str, str]:
    """Returns what the refusal is about: the broken rules, or the values of its message."""
    if refusal.violations:
        rules = [f"{violation.field}={violation.reason}" for violation in refusal.violations]
        return {"violations": ",".join(rules)}
    return dict(refusal.metadata)


def _call(context: _Context, started_ns: int) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "peer": context.peer(),
        "duration_us": (time.perf_counter_ns() - started_ns) // 1000,
    }
    for key, value in context.invocation_metadata() or ():
        if key == _REQUEST_ID and isinstance(value, str) and len(value) <= _MAX_REQUEST_ID:
            fields["request_id"] = value
    return fields
