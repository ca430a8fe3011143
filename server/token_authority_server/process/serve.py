"""Composition root: starts a server, handles signals, and drains."""

import asyncio
import contextlib
import gc
import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future
from typing import Final

import uvloop

from token_authority_server.audit import AuditTrail
from token_authority_server.config import ConfigFile, Settings
from token_authority_server.config.server import GrpcServerSettings
from token_authority_server.process.assembly import VERSION, Assembly, make_telemetry
from token_authority_server.process.explain import check_expectations
from token_authority_server.process.hardening import forbid_dumps
from token_authority_server.process.moments import read_moment
from token_authority_server.process.monitor import Monitor
from token_authority_server.process.reload import Reloader
from token_authority_server.process.signals import STOPPING, Deadline
from token_authority_server.rpc.server import Server
from token_authority_server.rpc.unix_socket import ListenError
from token_authority_server.telemetry.admin_http import (
    AdminServer,
    Page,
    health_pages,
    metrics_pages,
)
from token_authority_server.telemetry.health import DegradedComponents
from token_authority_server.telemetry.log import BackgroundStream, Logger, make_logger
from token_authority_server.telemetry.metrics import Metrics
from token_authority_server.telemetry.tracing import make_tracer

_ALIVE_SECONDS: Final = 2.0
"""How long the event loop may take to answer a liveness probe."""
_LATE_SECONDS: Final = 4.0
"""How long the process may take to end after draining; then `Deadline` ends it."""


def serve(
    settings: Settings, file: ConfigFile | None, on_ready: Callable[[list[str]], None]
) -> None:
    """Serves until SIGTERM or SIGINT, then drains; a second signal stops it immediately.

    SIGHUP reloads the configuration and reopens the audit file. The process has to end after this
    returns: what still hangs then is ended a few seconds later.

    Args:
        settings: What to serve.
        file: Where the settings came from, to reload them when it changes; None: they never do.
        on_ready: Called once calls are answered, with the addresses and their real ports.

    Raises:
        ConfigError: A test of the configuration's `[[tests]]` fails.
        AuditError: The audit file cannot be written.
        ListenError: An address cannot be listened on.
    """
    forbid_dumps()
    policy = settings.policy()
    check_expectations(settings, read_moment, policy)
    log = BackgroundStream(io.FileIO(sys.stderr.fileno(), "w", closefd=False))
    try:
        logger = make_logger(settings.log.format, settings.log.level, log)
        for warning in settings.warnings():
            logger.warning(warning)
        trail, degraded, metrics = make_telemetry(settings, logger)
        metrics.dropped_lines.watch(lambda: log.dropped)

        tracer = make_tracer(os.environ, VERSION, logger)

        def report_late() -> None:
            threads = [thread.name for thread in threading.enumerate() if not thread.daemon]
            logger.error("shutdown timed out", threads=threads)
            log.close()

        try:
            assembly = Assembly(
                settings, policy, read_moment, logger, trail, degraded, metrics, tracer
            )
            process = _Process(
                settings, logger, trail, degraded, metrics, assembly, Deadline(report_late)
            )
            uvloop.run(process.run(file, on_ready))
        finally:
            trail.close()
            if tracer:
                tracer.close()
    finally:
        log.close()


class _Process:
    """A server with its signal handlers, admin listeners, reloader and monitor."""

    def __init__(
        self,
        settings: Settings,
        logger: Logger,
        trail: AuditTrail,
        degraded: DegradedComponents,
        metrics: Metrics,
        assembly: Assembly,
        deadline: Deadline,
    ) -> None:
        self._settings = settings
        self._logger = logger
        self._trail = trail
        self._degraded = degraded
        self._metrics = metrics
        self._deadline = deadline
        self._stopping, self._hurrying = asyncio.Event(), asyncio.Event()
        self._assembly = assembly

    async def run(self, file: ConfigFile | None, on_ready: Callable[[list[str]], None]) -> None:
        """Serves until a signal arrives."""
        self._handle_stop_signals(asyncio.get_running_loop())
        server = self._assembly.server()
        # The objects that exist now stay. Otherwise a full garbage collection walks through them
        # all and delays every call by some 20 ms.
        gc.freeze()
        settings = self._settings.server
        addresses = await server.start(settings.listen, settings.mtls_listen)
        with self._admin(server) as admin:
            tasks = self._background(server, file)
            self._logger.info(
                "serving",
                listen=addresses,
                **admin,
                projects=sorted(self._settings.projects),
                version=VERSION,
            )
            self._trail.record_soon([{"event": "configuration", "started": addresses}])
            try:
                on_ready(addresses)
                await self._stopping.wait()
            except BaseException:
                await server.stop(notice_seconds=0, grace_seconds=0)
                raise
            self._logger.info("draining")
            await _drain(server, settings, self._hurrying)
            self._deadline.set(_LATE_SECONDS)
            for task in tasks:
                task.cancel()
        await self._assembly.close()
        self._logger.info("stopped")

    def _handle_stop_signals(self, loop: asyncio.AbstractEventLoop) -> None:
        settings = self._settings.server
        drain_seconds = (settings.drain_notice + settings.drain).total_seconds()

        def stop() -> None:
            (self._hurrying if self._stopping.is_set() else self._stopping).set()

        def on_signal(*_: object) -> None:
            # Not a handler of the event loop: a blocked loop must not delay the end.
            self._deadline.set(drain_seconds + _LATE_SECONDS)
            # A loop that is closed has drained.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(stop)

        for number in STOPPING:
            signal.signal(number, on_signal)

    def _background(self, server: Server, file: ConfigFile | None) -> list["asyncio.Task[None]"]:
        monitor = Monitor(
            self._degraded,
            server.report,
            lambda: self._assembly.certificate_not_after,
            self._trail,
            self._logger,
            observe_lag=self._metrics.event_loop_lag.observe,
        )
        tasks = [asyncio.create_task(monitor.run())]
        reloader = file and Reloader(
            file,
            self._settings,
            self._assembly.apply,
            self._degraded,
            self._logger,
            self._trail,
            self._metrics,
            read_moment,
        )
        if reloader:
            tasks.append(asyncio.create_task(reloader.run()))

        def reopen() -> None:
            self._trail.reopen()
            if reloader:
                reloader.reload_now()

        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reopen)
        return tasks

    @contextlib.contextmanager
    def _admin(self, server: Server) -> Generator[dict[str, str | None]]:
        """Opens the admin listeners; yields their addresses for the log."""
        loop = asyncio.get_running_loop()
        health = health_pages(
            self._degraded, lambda: server.is_serving, lambda: _turns(loop, _ALIVE_SECONDS)
        )
        settings = self._settings.server
        with contextlib.ExitStack() as opened:

            def listen(address: str | None, pages: dict[str, Page]) -> str | None:
                if address is None:
                    return None
                try:
                    admin = AdminServer(address, pages)
                except OSError as error:
                    problem = f"cannot listen on {address}: {error.strerror}"
                    raise ListenError(problem) from None
                opened.callback(admin.close)
                return admin.address

            admin = listen(settings.admin_listen, {**health, **metrics_pages(self._metrics)})
            yield {"admin": admin, "health": listen(settings.health_listen, health)}


def _turns(loop: asyncio.AbstractEventLoop, seconds: float) -> bool:
    """Whether an event loop runs a callback within some seconds. Blocks."""
    turned = Future[None]()
    try:
        loop.call_soon_threadsafe(turned.set_result, None)
        turned.result(seconds)
    except (RuntimeError, TimeoutError):
        return False
    return True


async def _drain(server: Server, settings: GrpcServerSettings, hurrying: asyncio.Event) -> None:
    """Drains the server; a second signal stops it immediately."""
    draining = asyncio.ensure_future(
        server.stop(
            notice_seconds=settings.drain_notice.total_seconds(),
            grace_seconds=settings.drain.total_seconds(),
        )
    )
    hurry = asyncio.ensure_future(hurrying.wait())
    await asyncio.wait({draining, hurry}, return_when=asyncio.FIRST_COMPLETED)
    if hurry.done():
        draining.cancel()
        await server.stop(notice_seconds=0, grace_seconds=0)
    hurry.cancel()
