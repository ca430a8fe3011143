"""Puts the parts of a server together by its settings, and exchanges those that may change."""

import io
import secrets
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Final

from structlog.typing import FilteringBoundLogger

from token_authority_server.audit import AuditTrail, FileSink, Sink, StreamSink
from token_authority_server.authority import Authority, PolicySnapshot
from token_authority_server.config import Settings
from token_authority_server.config.authentication import JwtSettings
from token_authority_server.config.server import AuditSettings
from token_authority_server.families.base import Moment
from token_authority_server.identity.jwks import FixedKeys, RemoteKeys
from token_authority_server.identity.jwks_fetch import Location
from token_authority_server.identity.jwt_bearer import JwtPolicy, JwtVerifier
from token_authority_server.limits import InFlight, RateLimiter
from token_authority_server.process.moments import read_moment
from token_authority_server.rpc.authentication import Authenticator
from token_authority_server.rpc.authority_service import ServerFacts
from token_authority_server.rpc.handlers import Handlers
from token_authority_server.rpc.methods import methods
from token_authority_server.rpc.observability import Observer
from token_authority_server.rpc.server import Server
from token_authority_server.rpc.server_credentials import ServerCertificates
from token_authority_server.rpc.validation import RequestParser
from token_authority_server.telemetry.health import DegradedComponents
from token_authority_server.telemetry.log import make_logger
from token_authority_server.telemetry.metrics import Metrics

VERSION: Final = version("agora-token-authority")


class Assembly:
    """The parts, but for the gRPC server, which belongs to an event loop.

    To be made outside of any: it reads files.

    Args:
        settings: What to serve.
        moments: Reads clock and entropy, afresh for each token.
        logger: Gets a line for each call.
        trail: Gets a record of each decision.
        degraded: Told what is not as it should be.
        metrics: Counts.
    """

    def __init__(
        self,
        settings: Settings,
        moments: Callable[[], Moment],
        logger: FilteringBoundLogger,
        trail: AuditTrail,
        degraded: DegradedComponents,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._jwt: JwtVerifier | None = None
        self._remote: RemoteKeys | None = None
        self._conditions = degraded
        redis = settings.limits.redis
        self._limiter = RateLimiter(
            redis.reveal() if redis else "memory",
            on_degraded=lambda problem: degraded.fail("limits", problem),
            on_recovered=lambda: degraded.recover("limits"),
        )
        policy = PolicySnapshot(settings.keyring(), settings.callers_by_identity())
        self._authority = Authority(policy, moments, self._limiter, trail)
        tls = settings.server.tls
        self._certificates = ServerCertificates(tls.identity()) if tls else None
        facts = ServerFacts(settings.server.max_request_bytes, VERSION)
        in_flight = InFlight(
            min(settings.server.max_in_flight, settings.server.max_concurrent_rpcs)
        )
        metrics.watch_calls(lambda: in_flight.total)
        self._handlers = Handlers(
            methods(self._authority, RequestParser(), metrics, facts),
            self._authenticator(settings, policy),
            in_flight,
            Observer(logger, metrics, trail),
            settings.server.max_request_bytes,
        )

    def server(self) -> Server:
        """Makes the gRPC server, for the event loop that runs."""
        settings = self._settings.server
        return Server(
            self._handlers,
            with_reflection=settings.reflection,
            max_request_bytes=settings.max_request_bytes,
            listeners=len(settings.listen) + len(settings.mtls_listen),
            certificates=self._certificates,
        )

    def apply(self, settings: Settings) -> None:
        """Goes on with other projects, keys, callers and certificates."""
        policy = PolicySnapshot(settings.keyring(), settings.callers_by_identity())
        authenticator = self._authenticator(settings, policy)
        self._authority.apply(policy)
        self._handlers.authenticate_with(authenticator)
        if self._certificates and settings.server.tls:
            self._certificates.replace(settings.server.tls.identity())
        self._settings = settings

    async def close(self) -> None:
        """Closes the connections to what the server uses."""
        await self._limiter.close()

    def _authenticator(self, settings: Settings, policy: PolicySnapshot) -> Authenticator:
        if settings.authentication != self._settings.authentication or self._jwt is None:
            # Else the keys that were fetched stay. What was wrong with others is over.
            self._conditions.recover("jwks")
            self._jwt = self._jwt_verifier(settings.authentication.jwt)
        return Authenticator(policy.callers, self._jwt)

    def _jwt_verifier(self, jwt: JwtSettings | None) -> JwtVerifier | None:
        self._remote = None
        if jwt is None:
            return None
        location = jwt.location()
        source = self._remote_keys(location) if location else FixedKeys(jwt.fixed_keys())
        leeway = jwt.leeway.total_seconds()
        return JwtVerifier(JwtPolicy(jwt.issuer, jwt.audience, leeway), source)

    def _remote_keys(self, location: Location) -> RemoteKeys:
        # A source that was replaced may still be on its way, and has no say any more.
        def on_failure(problem: str) -> None:
            if self._remote is source:
                self._conditions.fail("jwks", problem)

        def on_success() -> None:
            if self._remote is source:
                self._conditions.recover("jwks")

        self._remote = source = RemoteKeys(location, on_failure, on_success)
        return source


def quiet_assembly(settings: Settings) -> Assembly:
    """Puts a server together that logs nothing: for users' tests."""
    logger = make_logger("json", "error", io.StringIO())
    return Assembly(settings, read_moment, logger, *make_telemetry(settings, logger))


def make_telemetry(
    settings: Settings, logger: FilteringBoundLogger
) -> tuple[AuditTrail, DegradedComponents, Metrics]:
    """Makes what a server tells of itself to."""
    metrics = Metrics()
    degraded = DegradedComponents(logger, metrics)
    trail = AuditTrail(
        list(_sinks(settings.audit)),
        required=settings.audit.required,
        clock=lambda: read_moment().now_ms,
        on_failure=lambda problem: degraded.fail("audit", problem),
        on_recovery=lambda: degraded.recover("audit"),
    )
    return trail, degraded, metrics


def _sinks(settings: AuditSettings) -> Iterator[Sink]:
    if settings.file:
        yield FileSink(settings.file, settings.fsync, secrets.token_hex(16))
    if settings.stdout:
        yield StreamSink("standard output", sys.stdout.fileno(), secrets.token_hex(16))
