"""Connections to a server: what a call takes, written once; `transport` has the two ways to wait.

What is a coroutine here never waits by itself, only by its transport: with the one that blocks it
runs through to its end at once.
"""

import asyncio
import re
import threading
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, cast

import grpc
from grpc import aio

from token_authority_client import _grpc_errors, _probe, _telemetry
from token_authority_client._diagnosis import Diagnosis
from token_authority_client._errors import ClientClosed, TokenAuthorityError
from token_authority_client._security import Security, unusable
from token_authority_client._target import Target
from token_authority_client._transport import PATHS, Transport

_DIAGNOSIS_SECONDS: Final = 1.0
_REQUEST_ID: Final = re.compile(r"[!-~]{1,128}")


@dataclass(frozen=True, slots=True)
class CallOptions:
    """What may differ from call to call."""

    timeout: timedelta
    wait_for_ready: bool = False
    request_id: str = ""

    def __post_init__(self) -> None:
        """Refuses what grpc would not send."""
        _check_type(self.timeout)
        if not timedelta(0) < self.timeout <= timedelta(days=1):
            raise ValueError("timeout must be longer than nothing and at most a day")
        if self.request_id and not _REQUEST_ID.fullmatch(self.request_id):
            raise ValueError("request_id must be 1 to 128 visible ASCII characters without spaces")


def _check_type(timeout: object) -> None:
    """Refuses numbers: of what, seconds or milliseconds?"""
    if not isinstance(timeout, timedelta):
        raise unusable("timeout must be a timedelta", "write timedelta(seconds=5), say")


class Connection:
    """Calls methods of the services by their names, which are unique. It connects at the first.

    Args:
        target: Where to connect to.
        security: How.
        transport: How to wait.
    """

    def __init__(self, target: Target, security: Security, transport: Transport) -> None:
        self._target = target
        self._security = security
        self._transport = transport
        self._closed = False
        self._diagnosing = threading.Lock()
        self._diagnosis: Diagnosis | None = None
        self._diagnosed_at = -_DIAGNOSIS_SECONDS

    async def call(self, method: str, request: Any, options: CallOptions) -> Any:
        """Returns the answer of a method.

        Raises:
            TokenAuthorityError: The call failed.
        """
        if self._closed:
            raise _closed()
        with _telemetry.span(PATHS[method], self._target) as trace:
            if self._security.is_due():
                await self._transport.run_blocking(self._security.read)
            metadata = (*self._security.metadata(), *trace)
            if options.request_id:
                metadata += (("x-request-id", options.request_id),)
            try:
                return await self._transport.call(
                    method,
                    request,
                    timeout=options.timeout.total_seconds(),
                    metadata=metadata,
                    wait_for_ready=options.wait_for_ready,
                )
            except grpc.RpcError as error:
                failure = cast("_grpc_errors.FailedCall", error)
            except (ValueError, aio.UsageError, asyncio.CancelledError) as error:
                if self._ended_by_close(error):
                    raise _closed() from None
                raise
            raise await self._error_of(failure)

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Returns what a caller gets: the coroutine to await, or its result."""
        return self._transport.run(coroutine)

    async def close(self) -> None:
        """Closes the connection; calls under way fail."""
        self._closed = True
        await self._transport.close()

    async def _error_of(self, failure: _grpc_errors.FailedCall) -> TokenAuthorityError:
        if self._closed:
            return _closed()
        cause = None
        if _grpc_errors.is_unexplained(failure):
            cause = await self._transport.run_blocking(self._diagnose)
        return _grpc_errors.error_of(failure, self._target.text, cause)

    def _diagnose(self) -> Diagnosis | None:
        """Finds out why no server answers; calls that fail together share what was found."""
        with self._diagnosing:
            if time.monotonic() - self._diagnosed_at >= _DIAGNOSIS_SECONDS:
                self._diagnosis = _probe.diagnose(self._target, self._security)
                self._diagnosed_at = time.monotonic()
            return self._diagnosis

    def _ended_by_close(self, error: BaseException) -> bool:
        """Whether not this task was cancelled but, by `close`, its call."""
        if not self._closed or not isinstance(error, asyncio.CancelledError):
            return self._closed
        task = asyncio.current_task()
        return task is not None and not task.cancelling()


def _closed() -> ClientClosed:
    advice = "make another one"
    return ClientClosed(f"the client is closed: {advice}", advice=advice)
