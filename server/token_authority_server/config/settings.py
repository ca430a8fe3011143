"""The whole file, as a frozen model; the docstring of a field documents the key."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from pydantic import Field

from token_authority_server.access.denial import WHITEBOARD
from token_authority_server.access.denials import Denials, Scopes
from token_authority_server.authorization import PolicySnapshot
from token_authority_server.config.authentication import AuthenticationSettings
from token_authority_server.config.callers import CallerSettings, check_callers
from token_authority_server.config.certificate import certificate_problem
from token_authority_server.config.denials import AuthorizationSettings, denial_warnings
from token_authority_server.config.expectations import ExpectationSettings
from token_authority_server.config.projects import ProjectSettings
from token_authority_server.config.section import NAME, Section
from token_authority_server.config.server import (
    AuditSettings,
    GrpcServerSettings,
    LimitSettings,
    LogSettings,
)
from token_authority_server.config.toml_lines import Keys
from token_authority_server.config.values import NotEmpty
from token_authority_server.identity.directory import CLAIM, DNS, LOCAL, SPIFFE, Callers
from token_authority_server.keyring import Keyring, Project

_WARNING_PERIOD: Final = timedelta(days=14)


class Settings(Section):
    """The whole file."""

    server: GrpcServerSettings = GrpcServerSettings()
    """The gRPC server."""

    log: LogSettings = LogSettings()
    """The log."""

    limits: LimitSettings = LimitSettings()
    """Where rate limits are counted."""

    authentication: AuthenticationSettings = AuthenticationSettings()
    """Credentials accepted besides client certificates and API keys."""

    authorization: AuthorizationSettings = AuthorizationSettings()
    """Denials, which no grant overrides."""

    audit: AuditSettings = AuditSettings()
    """The audit trail."""

    projects: Annotated[dict[Annotated[str, Field(pattern=NAME)], ProjectSettings], NotEmpty]
    """The projects, by name: lower-case letters, digits and `-`, 63 at most."""

    callers: Annotated[tuple[CallerSettings, ...], NotEmpty]
    """The callers. All other clients are rejected."""

    tests: tuple[ExpectationSettings, ...] = ()
    """Expected decisions, checked before the server starts and at every reload."""

    def mistakes(self) -> Iterator[tuple[Keys, str]]:
        """Yields what is wrong with rows that are valid by themselves, and the path of each."""
        yield from check_callers(self.callers)
        for row, caller in enumerate(self.callers):
            for index, identity in enumerate(caller.identity_texts):
                if problem := self._unusable(identity):
                    yield ("callers", row, "identities", index), problem

    def _unusable(self, identity: str) -> str:
        """Returns why no client or every client could authenticate with an identity; else ""."""
        if identity == LOCAL and not self.server.is_local:
            return (
                "'local' would admit every client that reaches the server, and other machines "
                "can reach it: use an API key, a JWT or mTLS"
            )
        if identity.startswith(CLAIM) and not self.authentication.jwt:
            return f"{identity} needs [authentication.jwt]"
        if identity.startswith((SPIFFE, DNS)) and not self.server.mtls_listen:
            return f"{identity} needs server.mtls_listen"
        return ""

    def keyring(self) -> Keyring:
        """Returns the projects and their keys."""
        return Keyring(
            Project(name, row.signing_keys(), row.encryption_secrets())
            for name, row in self.projects.items()
        )

    def callers_by_identity(self) -> Callers:
        """Returns the callers, with the identities that authenticate them."""
        return Callers(
            {row.name: row.caller() for row in self.callers},
            {text: row.name for row in self.callers for text in row.identity_texts},
            {
                key.text: key.expires.timestamp()
                for row in self.callers
                for key in row.expiring_keys
                if key.expires
            },
        )

    def policy(self) -> PolicySnapshot:
        """Returns the callers, keys and denials that requests are decided with."""
        denials = Denials(self.authorization.denials, self._scopes())
        return PolicySnapshot(self.keyring(), self.callers_by_identity(), denials)

    def _scopes(self) -> dict[str, Scopes]:
        return {name: project.scopes(name) for name, project in self.projects.items()}

    def expirations(self, now: datetime) -> Iterator[str]:
        """Yields a warning for each API key that has expired or soon will."""
        for row in self.callers:
            for key in row.expiring_keys:
                if key.expires and key.expires - now <= _WARNING_PERIOD:
                    yield (
                        f"caller {row.name!r}: {key} {key.describe_expiry(now)}: give the caller "
                        "another key, then remove this one"
                    )

    def warnings(self) -> Iterator[str]:
        """Yields a line for each value that is valid but probably a mistake."""
        yield from self._certificate_warning()
        if self.server.reuse_port and not self.limits.redis and self._has_rate_limits():
            yield (
                "server.reuse_port: each instance counts rate limits separately, so that a caller "
                "of several instances may exceed them: set limits.redis"
            )
        if self.authentication.jwt:
            for skipped in self.authentication.jwt.skipped_keys():
                yield f"authentication.jwt.jwks: {skipped}: the key is skipped"
        for name, project in self.projects.items():
            yield from project.warnings(f"projects.{name}")
        for caller in self.callers:
            for grant in caller.grants:
                for warning in grant.warnings():
                    yield f"grant {grant.name!r} of caller {caller.name!r}: {warning}"

        yield from self._denial_warnings()

    def _denial_warnings(self) -> Iterator[str]:
        denials = self.authorization.denials
        if not denials:
            return
        scopes = self._scopes()
        by_scope: dict[str, set[str]] = {}
        for caller in self.callers:
            for grant in caller.grants:
                app, boards = scopes[grant.project]
                by_scope.setdefault(app, set()).update(grant.token_types())
                for board in boards:
                    by_scope.setdefault(board, set()).update(grant.token_types() & WHITEBOARD)
        granted = {
            name: frozenset[str]().union(*(by_scope.get(scope, ()) for scope in (app, *boards)))
            for name, (app, boards) in scopes.items()
        }
        for warning in denial_warnings(denials, granted, datetime.now(UTC)):
            yield f"authorization.denied_file: {warning}"

    def products_without_key(self) -> Iterator[str]:
        """Yields the products of projects that have keys and none that is active."""
        for name, project in self.projects.items():
            for product in project.products_without_key():
                yield f"projects.{name}.{product}"

    def _has_rate_limits(self) -> bool:
        return any(row.rate_limit.rates or row.inspect_rate_limit.rates for row in self.callers)

    def _certificate_warning(self) -> Iterator[str]:
        tls = self.server.tls
        if tls and (problem := certificate_problem(tls.not_after(), datetime.now(UTC))):
            yield f"server.tls: {problem}"
