"""The whole file, as a frozen model; the docstring of a field documents the key."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated

from pydantic import Field, model_validator

from token_authority_server.config.authentication import AuthenticationSettings
from token_authority_server.config.callers import CallerSettings, check_callers
from token_authority_server.config.certificate import certificate_problem
from token_authority_server.config.expectations import ExpectationSettings
from token_authority_server.config.projects import ProjectSettings
from token_authority_server.config.section import NAME, Section
from token_authority_server.config.server import (
    AuditSettings,
    LimitSettings,
    LogSettings,
    ServerSettings,
)
from token_authority_server.config.values import NotEmpty
from token_authority_server.identity.directory import CLAIM, DNS, LOCAL, SPIFFE, Callers
from token_authority_server.keyring import Keyring, KeyState, Project


class Settings(Section):
    """The whole file."""

    server: ServerSettings = ServerSettings()
    """The gRPC server."""

    log: LogSettings = LogSettings()
    """The log."""

    limits: LimitSettings = LimitSettings()
    """Where quotas are counted."""

    authentication: AuthenticationSettings = AuthenticationSettings()
    """What shows who asks."""

    audit: AuditSettings = AuditSettings()
    """The audit trail."""

    projects: Annotated[dict[Annotated[str, Field(pattern=NAME)], ProjectSettings], NotEmpty]
    """The projects, by name: lower-case letters, digits and `-`, 63 at most."""

    callers: Annotated[tuple[CallerSettings, ...], NotEmpty]
    """Who may ask. Nobody else is answered."""

    tests: tuple[ExpectationSettings, ...] = ()
    """What the callers and grants are held against before the server starts."""

    @model_validator(mode="after")
    def _check(self) -> "Settings":
        problems = [*check_callers(self.callers), *self._unreachable(), *self._unknown()]
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _unknown(self) -> Iterator[str]:
        """Yields names that stand for nothing."""
        for caller in self.callers:
            for grant in caller.grants:
                if grant.project not in self.projects:
                    yield (
                        f"callers: {caller.name}: grant {grant.name}: there is no project "
                        f"{grant.project!r}"
                    )
        names = {caller.name for caller in self.callers}
        for number, expectation in enumerate(self.tests):
            if expectation.caller not in names:
                yield f"tests.{number}: there is no caller {expectation.caller!r}"

    def _unreachable(self) -> Iterator[str]:
        """Yields identities that nobody could show."""
        for caller in self.callers:
            for identity in caller.identities:
                if identity == LOCAL and not self.server.is_local:
                    yield (
                        f"callers: {caller.name}: identity 'local' would let in whoever reaches "
                        "the server, and other machines can: use an API key, a JWT or mTLS"
                    )
                if identity.startswith(CLAIM) and not self.authentication.jwt:
                    yield f"callers: {caller.name}: {identity} needs [authentication.jwt]"
                if identity.startswith((SPIFFE, DNS)) and not self.server.mtls_listen:
                    yield f"callers: {caller.name}: {identity} needs server.mtls_listen"

    def keyring(self) -> Keyring:
        """Returns the projects and their keys."""
        return Keyring(Project(name, row.signing_keys()) for name, row in self.projects.items())

    def callers_by_identity(self) -> Callers:
        """Returns everyone who may ask."""
        return Callers(
            {row.name: row.caller() for row in self.callers},
            {identity: row.name for row in self.callers for identity in row.identities},
        )

    def warnings(self) -> Iterator[str]:
        """Yields what is allowed and yet worth a look."""
        yield from self._certificate_warning()
        for name in self.products_without_key():
            yield (
                f"{name}: no key is active: every request for its tokens will be answered with "
                "NO_ACTIVE_KEY"
            )

    def products_without_key(self) -> Iterator[str]:
        """Yields the products of projects that have keys and none that is active."""
        for name, project in self.projects.items():
            for product in sorted({key.product for key in project.signing_keys()}):
                states = [key.state for key in project.signing_keys() if key.product == product]
                if KeyState.ACTIVE not in states:
                    yield f"projects.{name}.{product}"

    def _certificate_warning(self) -> Iterator[str]:
        tls = self.server.tls
        if tls and (problem := certificate_problem(tls.not_after(), datetime.now(UTC))):
            yield f"server.tls: {problem}"
