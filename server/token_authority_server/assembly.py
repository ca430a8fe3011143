"""Puts the parts of a server together by its settings, and exchanges those that may change."""

from collections.abc import Callable
from importlib.metadata import version
from typing import Final

from structlog.typing import FilteringBoundLogger

from token_authority_server.audit import AuditTrail
from token_authority_server.authority import Authority, Policy
from token_authority_server.conditions import Conditions
from token_authority_server.config import Settings
from token_authority_server.config.authentication import JwtSettings
from token_authority_server.jwks import FixedKeys, RemoteKeys
from token_authority_server.jwks_request import Location
from token_authority_server.jwt_bearer import JwtPolicy, JwtVerifier
from token_authority_server.kinds.base import Moment
from token_authority_server.limits import InFlight, RateLimiter
from token_authority_server.metrics import Metrics
from token_authority_server.rpc.about import ServerFacts
from token_authority_server.rpc.authentication import Authenticator
from token_authority_server.rpc.credentials import ServerCertificates
from token_authority_server.rpc.handlers import Handlers
from token_authority_server.rpc.observe import Observer
from token_authority_server.rpc.server import Server
from token_authority_server.rpc.service import methods
from token_authority_server.rpc.validation import RequestParser

VERSION: Final = version("agora-token-authority")


class Assembly:
    """The parts, but for the gRPC server, which belongs to an event loop.

    To be made outside of any: it reads files.

    Args:
        settings: What to serve.
        moments: Reads clock and entropy, afresh for each token.
        logger: Gets a line for each call.
        trail: Gets a record of each decision.
        conditions: Told what is not as it should be.
        metrics: Counts.
    """

    def __init__(
        self,
        settings: Settings,
        moments: Callable[[], Moment],
        logger: FilteringBoundLogger,
        trail: AuditTrail,
        conditions: Conditions,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._jwt: JwtVerifier | None = None
        self._remote: RemoteKeys | None = None
        self._conditions = conditions
        redis = settings.limits.redis
        self._limiter = RateLimiter(
            redis.reveal() if redis else "memory",
            on_degraded=lambda problem: conditions.fail("limits", problem),
            on_recovered=lambda: conditions.recover("limits"),
        )
        policy = Policy(settings.keyring(), settings.callers_by_identity())
        self._authority = Authority(policy, moments, self._limiter, trail)
        tls = settings.server.tls
        self._certificates = ServerCertificates(tls.identity()) if tls else None
        facts = ServerFacts(settings.server.max_request_bytes, VERSION)
        in_flight = InFlight(settings.server.max_in_flight)
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
            max_concurrent_rpcs=settings.max_concurrent_rpcs,
            certificates=self._certificates,
        )

    def adopt(self, settings: Settings) -> None:
        """Goes on with other projects, keys, callers and certificates."""
        policy = Policy(settings.keyring(), settings.callers_by_identity())
        authenticator = self._authenticator(settings, policy)
        self._authority.adopt(policy)
        self._handlers.authenticate_with(authenticator)
        if self._certificates and settings.server.tls:
            self._certificates.replace(settings.server.tls.identity())
        self._settings = settings

    async def close(self) -> None:
        """Closes the connections to what the server uses."""
        await self._limiter.close()

    def _authenticator(self, settings: Settings, policy: Policy) -> Authenticator:
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
