"""Composition root: assembles a server, handles signals, and drains."""

import asyncio
import contextlib
import gc
import io
import signal
import sys
from collections.abc import Callable, Generator

import uvloop
from structlog.typing import FilteringBoundLogger

from token_authority_server.audit import AuditTrail
from token_authority_server.config import ConfigFile, Settings
from token_authority_server.config.server import ServerSettings
from token_authority_server.process.assembly import VERSION, Assembly, make_telemetry
from token_authority_server.process.explain import check_expectations
from token_authority_server.process.moments import read_moment
from token_authority_server.process.reload import Reloader
from token_authority_server.rpc.server import Server
from token_authority_server.rpc.unix_socket import ListenError
from token_authority_server.telemetry.admin_http import AdminServer
from token_authority_server.telemetry.health import DegradedComponents
from token_authority_server.telemetry.log import BackgroundStream, make_logger
from token_authority_server.telemetry.metrics import Metrics


def serve(
    settings: Settings, file: ConfigFile | None, on_ready: Callable[[list[str]], None]
) -> None:
    """Serves until SIGTERM or SIGINT, then drains; a second signal cuts the draining short.

    SIGHUP reads the configuration anew and reopens the audit file.

    Args:
        settings: What to serve.
        file: Where they came from, to go on with it when it changes; None: they never change.
        on_ready: Called once calls are answered, with the addresses and their real ports.

    Raises:
        ConfigError: An expectation of the configuration's `[[tests]]` does not hold.
        AuditError: The audit file cannot be written.
        ListenError: An address cannot be listened on.
    """
    check_expectations(settings, read_moment)
    log = BackgroundStream(io.FileIO(sys.stderr.fileno(), "w", closefd=False))
    try:
        logger = make_logger(settings.log.format, settings.log.level, log)
        for warning in settings.warnings():
            logger.warning(warning)
        trail, degraded, metrics = make_telemetry(settings, logger)
        try:
            process = _Process(settings, logger, trail, degraded, metrics)
            uvloop.run(process.run(file, on_ready))
        finally:
            trail.close()
    finally:
        log.close()


class _Process:
    """A server, and what happens around it."""

    def __init__(
        self,
        settings: Settings,
        logger: FilteringBoundLogger,
        trail: AuditTrail,
        degraded: DegradedComponents,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._logger = logger
        self._trail = trail
        self._conditions = degraded
        self._metrics = metrics
        self._assembly = Assembly(settings, read_moment, logger, trail, degraded, metrics)

    async def run(self, file: ConfigFile | None, on_ready: Callable[[list[str]], None]) -> None:
        """Serves until a signal comes."""
        server = self._assembly.server()
        stopping, hurrying = asyncio.Event(), asyncio.Event()

        def stop() -> None:
            (hurrying if stopping.is_set() else stopping).set()

        for signal_number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(signal_number, stop)
        # What is here now stays: without this, a full collection goes through all of it and holds
        # up every call for some 20 ms.
        gc.freeze()
        settings = self._settings.server
        addresses = await server.start(settings.listen, settings.mtls_listen)
        with self._admin(server) as admin:
            reloading = self._watch(file)
            self._logger.info(
                "serving",
                listen=addresses,
                admin=admin,
                projects=sorted(self._settings.projects),
                version=VERSION,
            )
            self._trail.record_soon([{"event": "configuration", "started": addresses}])
            try:
                on_ready(addresses)
                await stopping.wait()
            except BaseException:
                await server.stop(notice_seconds=0, grace_seconds=0)
                raise
            self._logger.info("draining")
            await _drain(server, settings, hurrying)
            if reloading:
                reloading.cancel()
        await self._assembly.close()
        self._logger.info("stopped")

    def _watch(self, file: ConfigFile | None) -> "asyncio.Task[None] | None":
        def reopen() -> None:
            self._trail.reopen()
            if reloader:
                reloader.reload_now()

        reloader = file and Reloader(
            file,
            self._settings,
            self._assembly.apply,
            self._conditions,
            self._logger,
            self._trail,
            self._metrics,
            read_moment,
        )
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reopen)
        return asyncio.create_task(reloader.run()) if reloader else None

    @contextlib.contextmanager
    def _admin(self, server: Server) -> Generator[str | None]:
        address = self._settings.server.admin_listen
        if address is None:
            yield None
            return
        try:
            admin = AdminServer(address, self._metrics, self._conditions, lambda: server.is_serving)
        except OSError as error:
            raise ListenError(f"cannot listen on {address}: {error.strerror}") from None
        try:
            yield admin.address
        finally:
            admin.close()


async def _drain(server: Server, settings: ServerSettings, hurrying: asyncio.Event) -> None:
    """Stops the server, in peace unless it has to hurry."""
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
