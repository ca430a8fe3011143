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
from importlib.metadata import version
from typing import Final

import uvloop
from structlog.typing import FilteringBoundLogger

from token_authority.v1 import inspection_pb2
from token_authority_server.admin import AdminServer
from token_authority_server.audit import AuditError, AuditTrail, FileSink, Sink, StreamSink
from token_authority_server.authority import Allowed, Authority, Policy
from token_authority_server.conditions import Conditions
from token_authority_server.config import ConfigFile, Settings
from token_authority_server.config.authentication import JwtSettings
from token_authority_server.config.models import AuditSettings, ServerSettings
from token_authority_server.errors import Refusal
from token_authority_server.expectations import Explainer, check_expectations
from token_authority_server.formats.netless import nonce_text
from token_authority_server.inspection import inspect_token
from token_authority_server.jwks import FixedKeys, RemoteKeys
from token_authority_server.jwt_bearer import JwtPolicy, JwtVerifier
from token_authority_server.kinds.base import Moment
from token_authority_server.limits import InFlight, RateLimiter
from token_authority_server.log import BackgroundStream, make_logger
from token_authority_server.metrics import Metrics
from token_authority_server.reload import Reloader
from token_authority_server.rpc.about import ServerFacts
from token_authority_server.rpc.authentication import Authenticator
from token_authority_server.rpc.credentials import ServerCertificates
from token_authority_server.rpc.handlers import Handlers
from token_authority_server.rpc.inspection import expected_of, response_of
from token_authority_server.rpc.observe import Observer
from token_authority_server.rpc.server import Server
from token_authority_server.rpc.service import methods
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
    "serve",
]

_VERSION: Final = version("agora-token-authority")
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
        with _trail(settings, logger) as (trail, conditions, metrics):
            uvloop.run(_Process(settings, logger, trail, conditions, metrics).run(file, on_ready))
    finally:
        log.close()


def explain(settings: Settings, caller: str, entry: bytes) -> Allowed:
    """Decides on an encoded IssueTokenRequest as a server with these settings would.

    Raises:
        Refusal: As the server would.
        KeyError: There is no such caller.
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
    chance = os.urandom(20)
    return Moment(
        now_ms=time.time_ns() // 1_000_000,
        salt=int.from_bytes(chance[:4], "little"),
        nonce=nonce_text(chance[4:]),
    )


@contextlib.contextmanager
def _trail(
    settings: Settings, logger: FilteringBoundLogger
) -> Generator[tuple[AuditTrail, Conditions, Metrics]]:
    metrics = Metrics()
    conditions = Conditions(logger, metrics)
    trail = AuditTrail(
        list(_sinks(settings.audit)),
        required=settings.audit.required,
        clock=lambda: moment().now_ms,
        on_failure=lambda problem: conditions.fail("audit", problem),
        on_recovery=lambda: conditions.recover("audit"),
    )
    try:
        yield trail, conditions, metrics
    finally:
        trail.close()


def _sinks(settings: AuditSettings) -> Iterator[Sink]:
    if settings.file:
        yield FileSink(settings.file, settings.fsync, secrets.token_hex(16))
    if settings.stdout:
        yield StreamSink("standard output", sys.stdout.fileno(), secrets.token_hex(16))


class _Process:
    """The parts of a server process, put together."""

    def __init__(
        self,
        settings: Settings,
        logger: FilteringBoundLogger,
        trail: AuditTrail,
        conditions: Conditions,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._jwt: JwtVerifier | None = None
        self._logger = logger
        self._trail = trail
        self._conditions = conditions
        self._metrics = metrics
        redis = settings.limits.redis
        self._limiter = RateLimiter(
            redis.reveal() if redis else "memory",
            on_degraded=lambda problem: conditions.fail("limits", problem),
            on_recovered=lambda: conditions.recover("limits"),
        )
        policy = Policy(settings.keyring(), settings.callers_by_identity())
        self._authority = Authority(policy, moment, self._limiter, trail)
        tls = settings.server.tls
        self._certificates = ServerCertificates(tls.identity()) if tls else None
        facts = ServerFacts(settings.server.max_request_bytes, _VERSION)
        self._handlers = Handlers(
            methods(self._authority, RequestParser(), metrics, facts),
            self._authenticator(settings, policy),
            InFlight(settings.server.max_in_flight),
            Observer(logger, metrics, trail),
        )

    def adopt(self, settings: Settings) -> None:
        """Goes on with other projects, keys, callers and certificates."""
        policy = Policy(settings.keyring(), settings.callers_by_identity())
        self._authority.adopt(policy)
        self._handlers.authenticate_with(self._authenticator(settings, policy))
        if self._certificates and settings.server.tls:
            self._certificates.replace(settings.server.tls.identity())
        self._settings = settings

    async def run(self, file: ConfigFile | None, on_ready: Callable[[list[str]], None]) -> None:
        """Serves until a signal comes."""
        # gRPC's server belongs to the event loop that runs when it is made.
        server = Server(
            self._handlers,
            with_reflection=self._settings.server.reflection,
            max_request_bytes=self._settings.server.max_request_bytes,
            max_concurrent_rpcs=self._settings.server.max_concurrent_rpcs,
            certificates=self._certificates,
        )
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
                version=_VERSION,
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
        await self._limiter.close()
        self._logger.info("stopped")

    def _watch(self, file: ConfigFile | None) -> "asyncio.Task[None] | None":
        def reopen() -> None:
            self._trail.reopen()
            if reloader:
                reloader.reload_now()

        reloader = file and Reloader(
            file,
            self._settings,
            self.adopt,
            self._conditions,
            self._logger,
            self._trail,
            self._metrics,
            moment,
        )
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reopen)
        return asyncio.create_task(reloader.run()) if reloader else None

    def _authenticator(self, settings: Settings, policy: Policy) -> Authenticator:
        if settings.authentication != self._settings.authentication or self._jwt is None:
            # Else the keys that were fetched stay. What was wrong with others is over.
            self._conditions.recover("jwks")
            self._jwt = self._jwt_verifier(settings.authentication.jwt)
        return Authenticator(policy.callers, self._jwt)

    def _jwt_verifier(self, jwt: JwtSettings | None) -> JwtVerifier | None:
        if jwt is None:
            return None
        location = jwt.location()
        source = (
            RemoteKeys(
                location,
                on_failure=lambda problem: self._conditions.fail("jwks", problem),
                on_success=lambda: self._conditions.recover("jwks"),
            )
            if location
            else FixedKeys(jwt.fixed_keys())
        )
        leeway = jwt.leeway.total_seconds()
        return JwtVerifier(JwtPolicy(jwt.issuer, jwt.audience, leeway), source)

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
