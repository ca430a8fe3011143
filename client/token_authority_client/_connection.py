"""Connections: what every call does, and how the asyncio and the blocking client wait for it.

`Connection.call` is a coroutine that suspends only inside the transport. The asyncio transport
awaits; the blocking one never suspends, so a single step runs such a coroutine to its end.
"""

import asyncio
import contextlib
import dataclasses
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, cast

import grpc
from grpc import aio

from token_authority_client import _grpc_errors, _telemetry
from token_authority_client._call_options import CallOptions
from token_authority_client._channel import PATHS, Channel
from token_authority_client._errors import ClientClosed, DeadlineExceeded, TokenAuthorityError
from token_authority_client._fork_state import ForkState
from token_authority_client._outage import Outage
from token_authority_client._probe import SharedDiagnosis
from token_authority_client._security import Security
from token_authority_client._target import Target

ResultT = TypeVar("ResultT")


class AsyncTransport:
    """Awaits responses, on the event loop of the first call."""

    def __init__(self, target: Target, security: Security) -> None:
        self._target = target
        self._security = security
        self._channel: Channel | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, coroutine: Coroutine[Any, Any, ResultT]) -> Coroutine[Any, Any, ResultT]:
        """Returns the coroutine, for the caller to await."""
        return coroutine

    async def run_blocking(self, function: Callable[[], ResultT]) -> ResultT:
        """Calls a blocking function in a thread."""
        return await asyncio.to_thread(function)

    async def close(self) -> None:
        """Closes the channel; calls in flight are cancelled."""
        if self._channel is not None:
            await self._channel.channel.close()

    def open_channel(self) -> Channel:
        """Returns the channel for the current TLS material.

        Raises:
            ClientClosed: The first call was made on another event loop.
        """
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        if self._loop is not loop:
            advice = "create a client for each event loop"
            raise ClientClosed(f"the client belongs to another event loop: {advice}", advice=advice)
        if self._channel is None or self._channel.material != self._security.material:
            # A channel belongs to the event loop that is running when it is created.
            ForkState.uses_asyncio = True
            self._channel = Channel(aio, self._target, self._security)
        return self._channel


class BlockingTransport:
    """Blocks for responses, in any number of threads."""

    def __init__(self, target: Target, security: Security) -> None:
        self._target = target
        self._security = security
        self._lock = threading.Lock()
        self._channel: Channel | None = None

    def run(self, coroutine: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Runs a coroutine that never suspends, and returns its result."""
        try:
            coroutine.send(None)
        except StopIteration as done:
            result: ResultT = done.value
            return result
        coroutine.close()
        raise AssertionError("coroutine suspended on the blocking transport")

    async def run_blocking(self, function: Callable[[], ResultT]) -> ResultT:
        """Calls a blocking function."""
        return function()

    async def close(self) -> None:
        """Closes the channel; calls in flight fail."""
        with self._lock:
            if self._channel is not None:
                self._channel.channel.close()

    def open_channel(self) -> Channel:
        """Returns the channel for the current TLS material."""
        with self._lock:
            if self._channel is None or self._channel.material != self._security.material:
                self._channel = Channel(grpc, self._target, self._security)
            return self._channel


Transport = AsyncTransport | BlockingTransport
"""How a client waits."""


class Connection:
    """Calls the methods of the contract by name. It connects at the first call.

    Args:
        target: The server.
        security: TLS settings and credential.
        transport: How to wait.
    """

    def __init__(self, target: Target, security: Security, transport: Transport) -> None:
        self._target = target
        self._security = security
        self._transport = transport
        self._closed = False
        self._generation: int | None = None
        self._diagnosis = SharedDiagnosis(target, security)
        self._outage = Outage()

    async def call(self, method: str, request: Any, options: CallOptions) -> Any:
        """Calls a method and returns its response.

        Raises:
            TokenAuthorityError: The call failed.
        """
        if self._closed:
            raise _grpc_errors.closed()
        self.check_process()
        self._generation = ForkState.generation
        call = object()
        ForkState.calls.add(call)
        try:
            # A program that has not imported OpenTelemetry has not set up tracing.
            if _telemetry.TRACE_MODULE not in sys.modules:
                return await self._send(method, request, options, ())
            if _telemetry.PROPAGATE_MODULE not in sys.modules:
                await self._transport.run_blocking(_telemetry.load)
            with _telemetry.span(PATHS[method], self._target) as trace:
                return await self._send(method, request, options, trace)
        finally:
            ForkState.calls.discard(call)

    async def _send(
        self, method: str, request: Any, options: CallOptions, trace: _telemetry.Metadata
    ) -> Any:
        if self._security.is_due():
            await self._transport.run_blocking(self._security.read)
        metadata = (*self._security.metadata(), *trace)
        if options.request_id:
            metadata += (("x-request-id", options.request_id),)
        began = time.monotonic()
        try:
            response = self._transport.open_channel().methods[method](
                request,
                timeout=options.seconds,
                metadata=metadata,
                wait_for_ready=options.wait_for_ready,
            )
            response = await response if isinstance(self._transport, AsyncTransport) else response
        except grpc.RpcError as error:
            failure = cast("_grpc_errors.FailedCall", error)
        except (ValueError, aio.UsageError, asyncio.CancelledError) as error:
            if self._ended_by_close(error):
                raise _grpc_errors.closed() from None
            raise
        else:
            if not self._outage.is_over:
                self._outage.end()
                self._diagnosis.forget()
            return response
        if not (options.wait_for_ready or self._closed) and _grpc_errors.is_unanswered(failure):
            patience = self._outage.patience(began, options.seconds)
            waiting = dataclasses.replace(options, seconds=patience, wait_for_ready=True)
            # If time runs out, the first failure has the cause.
            with contextlib.suppress(DeadlineExceeded):
                if patience > 0:
                    return await self._send(method, request, waiting, trace)
        raise await self._error_of(failure)

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Returns the coroutine to await, or its result."""
        return self._transport.run(coroutine)

    def check_process(self) -> None:
        """Refuses to use gRPC where it would hang or abort after a fork. Takes no lock.

        Raises:
            ClientClosed: The process was forked after it connected, or while any was in use.
        """
        if self._generation not in {None, ForkState.generation}:
            raise _grpc_errors.forked("the client connected before this process was forked")
        if ForkState.forked_in_use:
            raise _grpc_errors.forked("a client was in use when this process was forked")

    async def close(self) -> None:
        """Closes the connection; calls in flight fail."""
        self._closed = True
        if self._generation == ForkState.generation:
            await self._transport.close()

    async def _error_of(self, failure: _grpc_errors.FailedCall) -> TokenAuthorityError:
        if self._closed:
            return _grpc_errors.closed()
        cause = None
        if _grpc_errors.is_unexplained(failure):
            cause = await self._transport.run_blocking(self._diagnosis.find)
        return _grpc_errors.error_of(failure, self._target.text, cause)

    def _ended_by_close(self, error: BaseException) -> bool:
        """Whether `close` cancelled the call, rather than someone the calling task."""
        if not self._closed or not isinstance(error, asyncio.CancelledError):
            return self._closed
        task = asyncio.current_task()
        return task is not None and not task.cancelling()
