"""The composition root: the only reader of clock, entropy and signals."""

import asyncio
import contextlib
import gc
import io
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable, Generator, Iterator
from typing import Final

import uvloop
from structlog.typing import FilteringBoundLogger

from token_authority.v1 import inspection_pb2
from token_authority_server.admin import AdminServer
from token_authority_server.assembly import VERSION, Assembly
from token_authority_server.audit import AuditError, AuditTrail, FileSink, Sink, StreamSink
from token_authority_server.authority import Allowed
from token_authority_server.conditions import Conditions
from token_authority_server.config import ConfigFile, Settings
from token_authority_server.config.server import AuditSettings, ServerSettings
from token_authority_server.errors import Refusal
from token_authority_server.expectations import Explainer, check_expectations
from token_authority_server.inspection import inspect_token
from token_authority_server.kinds.base import Moment
from token_authority_server.log import BackgroundStream, make_logger
from token_authority_server.metrics import Metrics
from token_authority_server.reload import Reloader
from token_authority_server.rpc.inspection import expected_of, response_of
from token_authority_server.rpc.server import Server
from token_authority_server.rpc.unix_socket import ListenError
from token_authority_server.rpc.validation import RequestParser

__all__ = [
    "AuditError",
    "ListenError",
    "Refusal",
    "check_expectations",
    "explain",
    "inspect_without_keys",
    "moment",
    "quiet_assembly",
    "serve",
]

_CHANCES: Final[list[bytes]] = []
_INSPECT: Final = inspection_pb2.InspectTokenRequest.DESCRIPTOR.full_name


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
    check_expectations(settings, moment)
    log = BackgroundStream(io.FileIO(sys.stderr.fileno(), "w", closefd=False))
    try:
        logger = make_logger(settings.log.format, settings.log.level, log)
        for warning in settings.warnings():
            logger.warning(warning)
        trail, conditions, metrics = _surroundings(settings, logger)
        try:
            process = _Process(settings, logger, trail, conditions, metrics)
            uvloop.run(process.run(file, on_ready))
        finally:
            trail.close()
    finally:
        log.close()


def quiet_assembly(settings: Settings) -> Assembly:
    """Puts a server together that logs nothing: for users' tests."""
    logger = make_logger("json", "error", io.StringIO())
    return Assembly(settings, moment, logger, *_surroundings(settings, logger))


def explain(settings: Settings, caller: str, entry: bytes) -> Allowed:
    """Decides on an encoded IssueTokenRequest as a server with these settings would.

    Raises:
        Refusal: As the server would.
    """
    return Explainer(settings, moment).explain(caller, entry)


def inspect_without_keys(data: bytes) -> bytes:
    """Answers InspectToken in this process: what can be said of a token without a key.

    Raises:
        Refusal: As the method.
    """
    request = RequestParser().parser(_INSPECT)(data)
    expected = expected_of(request.expected)
    return response_of(
        inspect_token(request.token, expected, [], moment().now_ms)
    ).SerializeToString()


def moment() -> Moment:
    """Reads clock and entropy for one token."""
    chance = _chance()
    return Moment(
        now_ms=time.time_ns() // 1_000_000,
        salt=int.from_bytes(chance[:4], "little"),
        chance=chance[4:],
    )


def _chance() -> bytes:
    """Returns 20 random bytes, of many that are read at once: reading lets other threads go first.

    They are no secrets: each token shows its own.
    """
    try:
        return _CHANCES.pop()
    except IndexError:
        data = os.urandom(20 * 256)
        _CHANCES.extend(data[start : start + 20] for start in range(20, len(data), 20))
        return data[:20]


def _surroundings(
    settings: Settings, logger: FilteringBoundLogger
) -> tuple[AuditTrail, Conditions, Metrics]:
    """Makes what a server tells of itself to."""
    metrics = Metrics()
    conditions = Conditions(logger, metrics)
    trail = AuditTrail(
        list(_sinks(settings.audit)),
        required=settings.audit.required,
        clock=lambda: moment().now_ms,
        on_failure=lambda problem: conditions.fail("audit", problem),
        on_recovery=lambda: conditions.recover("audit"),
    )
    return trail, conditions, metrics


def _sinks(settings: AuditSettings) -> Iterator[Sink]:
    if settings.file:
        yield FileSink(settings.file, settings.fsync, secrets.token_hex(16))
    if settings.stdout:
        yield StreamSink("standard output", sys.stdout.fileno(), secrets.token_hex(16))


class _Process:
    """A server, and what happens around it."""

    def __init__(
        self,
        settings: Settings,
        logger: FilteringBoundLogger,
        trail: AuditTrail,
        conditions: Conditions,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._logger = logger
        self._trail = trail
        self._conditions = conditions
        self._metrics = metrics
        self._assembly = Assembly(settings, moment, logger, trail, conditions, metrics)

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
            self._assembly.adopt,
            self._conditions,
            self._logger,
            self._trail,
            self._metrics,
            moment,
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
