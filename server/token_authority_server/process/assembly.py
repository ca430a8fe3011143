"""Builds the components of a server from its settings, and replaces those that a reload changes."""

import io
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from importlib.metadata import version
from typing import Final

from token_authority_server.audit import AuditTrail, FileSink, Sink, StreamSink
from token_authority_server.authority import Authority
from token_authority_server.authorization import PolicySnapshot
from token_authority_server.config import Settings
from token_authority_server.config.authentication import JwtSettings
from token_authority_server.config.server import AuditSettings
from token_authority_server.families import Moment
from token_authority_server.identity.jwks_fetch import Location
from token_authority_server.identity.jwt_bearer import JwtPolicy, JwtVerifier
from token_authority_server.identity.key_sources import FixedKeys, RemoteKeys
from token_authority_server.limits import InFlight, RateLimiter
from token_authority_server.process.measures import export_limits, export_settings, export_trail
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
from token_authority_server.telemetry.log import Logger, make_logger
from token_authority_server.telemetry.metrics import Metrics
from token_authority_server.telemetry.tracing import CallTracer

VERSION: Final = version("agora-token-authority")
# A key set of a megabyte can hold thousands of keys.
_MAX_LOGGED_KEYS: Final = 10


class Assembly:
    """The components of a server, except the gRPC server, which belongs to an event loop.

    Create it outside of any event loop: it reads files.

    Args:
        settings: What to serve.
        policy: The snapshot built from the settings.
        moments: Reads clock and entropy for each token.
        logger: Gets a line for each call.
        trail: Gets a record of each decision.
        degraded: Gets faults of the components.
        metrics: Counts calls.
        tracer: Traces calls; None: they are not traced.
    """

    def __init__(
        self,
        settings: Settings,
        policy: PolicySnapshot,
        moments: Callable[[], Moment],
        logger: Logger,
        trail: AuditTrail,
        degraded: DegradedComponents,
        metrics: Metrics,
        tracer: CallTracer | None = None,
    ) -> None:
        self._settings = settings
        self._jwt: JwtVerifier | None = None
        self._remote: RemoteKeys | None = None
        self._degraded = degraded
        self._logger = logger
        self._metrics = metrics
        self._limiter = _limiter(settings, degraded)
        self._policy = policy
        self._authority = Authority(policy, moments, self._limiter, trail)
        tls = settings.server.tls
        self._certificates = ServerCertificates(tls.identity()) if tls else None
        facts = ServerFacts(settings.server.max_request_bytes, VERSION)
        in_flight = InFlight(
            min(settings.server.max_in_flight, settings.server.max_concurrent_rpcs)
        )
        export_limits(metrics, in_flight, self._limiter)
        export_settings(metrics, lambda: self._settings)
        metrics.jwks_time.watch(self._jwks_seconds)
        self._report_keys(settings)
        # Listeners stay as they are until a restart, whatever a reload brings.
        self._verifies_certificates = bool(settings.server.mtls_listen)
        self._handlers = Handlers(
            methods(self._authority, RequestParser(), metrics, facts),
            self._authenticator(settings, policy),
            in_flight,
            Observer(logger, metrics, trail, tracer=tracer),
            settings.server.max_request_bytes,
        )

    @property
    def certificate_not_after(self) -> datetime | None:
        """When the TLS certificate expires; None without TLS."""
        tls = self._settings.server.tls
        return tls.not_after() if tls else None

    def server(self) -> Server:
        """Creates the gRPC server for the running event loop."""
        settings = self._settings.server
        return Server(
            self._handlers,
            with_reflection=settings.reflection,
            max_request_bytes=settings.max_request_bytes,
            listeners=len(settings.listen) + len(settings.mtls_listen),
            reuse_port=settings.reuse_port,
            certificates=self._certificates,
        )

    def apply(self, settings: Settings, policy: PolicySnapshot) -> PolicySnapshot:
        """Replaces projects, keys, callers and certificates.

        Args:
            settings: The new settings.
            policy: What was built from them.

        Returns:
            The previous policy.
        """
        authenticator = self._authenticator(settings, policy)
        self._authority.apply(policy)
        self._handlers.authenticate_with(authenticator)
        if self._certificates and settings.server.tls:
            self._certificates.replace(settings.server.tls.identity())
        self._settings = settings
        self._logger.set_level(settings.log.level)
        self._report_keys(settings)
        self._metrics.keep(policy.callers.by_name, policy.keyring.project_names)
        previous, self._policy = self._policy, policy
        return previous

    async def close(self) -> None:
        """Closes the connection to Redis."""
        await self._limiter.close()

    def _jwks_seconds(self) -> float | None:
        age_seconds = self._remote.age_seconds if self._remote else None
        return None if age_seconds is None else time.time() - age_seconds

    def _report_keys(self, settings: Settings) -> None:
        # Every replica has the same keys: degraded, and still ready.
        if missing := list(settings.products_without_key()):
            self._degraded.fail("keys", f"no key is active: {', '.join(missing)}")
        else:
            self._degraded.recover("keys")

    def _authenticator(self, settings: Settings, policy: PolicySnapshot) -> Authenticator:
        if settings.authentication != self._settings.authentication or self._jwt is None:
            # Otherwise the fetched keys stay. Faults of the previous provider are over.
            self._degraded.recover("jwks")
            self._jwt = self._jwt_verifier(settings.authentication.jwt)
        return Authenticator(
            policy.callers, self._jwt, verifies_certificates=self._verifies_certificates
        )

    def _jwt_verifier(self, jwt: JwtSettings | None) -> JwtVerifier | None:
        self._remote = None
        # Those of a file are among the configuration's warnings.
        self._metrics.skipped_keys.set(len(jwt.skipped_keys()) if jwt else 0)
        if jwt is None:
            return None
        location = jwt.location()
        source = self._remote_keys(location) if location else FixedKeys(jwt.fixed_keys())
        leeway = jwt.leeway.total_seconds()
        return JwtVerifier(JwtPolicy(jwt.issuer, jwt.audience, leeway), source)

    def _remote_keys(self, location: Location) -> RemoteKeys:
        reported: Sequence[str] = ()

        # A replaced source may still be fetching: its outcome is ignored.
        def on_failure(problem: str) -> None:
            if self._remote is source:
                self._degraded.fail("jwks", problem)

        def on_success() -> None:
            if self._remote is source:
                self._degraded.recover("jwks")

        def on_skipped(skipped: Sequence[str]) -> None:
            nonlocal reported
            if self._remote is source:
                self._metrics.skipped_keys.set(len(skipped))
                if skipped and skipped != reported:
                    self._logger.warning(
                        "jwks keys skipped",
                        url=location.shown,
                        count=len(skipped),
                        keys=list(skipped[:_MAX_LOGGED_KEYS]),
                    )
                reported = skipped

        self._remote = source = RemoteKeys(location, on_failure, on_success, on_skipped)
        return source


def quiet_assembly(settings: Settings) -> Assembly:
    """Builds a server that logs nothing, for users' tests."""
    logger = make_logger("json", "error", io.StringIO())
    return Assembly(
        settings, settings.policy(), read_moment, logger, *make_telemetry(settings, logger)
    )


def make_telemetry(
    settings: Settings, logger: Logger
) -> tuple[AuditTrail, DegradedComponents, Metrics]:
    """Creates the audit trail, the health state and the metrics of a server."""
    metrics = Metrics()
    metrics.export_process()
    degraded = DegradedComponents(logger, metrics)
    trail = AuditTrail(
        list(_sinks(settings.audit)),
        required=settings.audit.required,
        clock=lambda: read_moment().now_ms,
        # A fault of this instance alone, since servers do not share a file; it matters if required.
        on_failure=lambda problem: degraded.fail(
            "audit", problem, not_ready=settings.audit.required
        ),
        on_recovery=lambda: degraded.recover("audit"),
    )
    export_trail(metrics, trail)
    return trail, degraded, metrics


def _limiter(settings: Settings, degraded: DegradedComponents) -> RateLimiter:
    redis = settings.limits.redis
    return RateLimiter(
        redis.reveal() if redis else "memory",
        on_degraded=lambda problem: degraded.fail("limits", problem),
        on_recovered=lambda: degraded.recover("limits"),
    )


def _sinks(settings: AuditSettings) -> Iterator[Sink]:
    if settings.file:
        yield FileSink(settings.file, settings.fsync, secrets.token_hex(16))
    if settings.stdout:
        yield StreamSink("standard output", sys.stdout.fileno(), secrets.token_hex(16))
