"""The sections of the file, as frozen models; the docstring of a field documents the key."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, Field, model_validator

from token_authority_server.audit import FsyncPolicy
from token_authority_server.callers import CLAIM, DNS, LOCAL, SPIFFE, Callers
from token_authority_server.config.authentication import AuthenticationSettings, TlsSettings
from token_authority_server.config.callers import CallerSettings, check_callers
from token_authority_server.config.expectations import ExpectationSettings
from token_authority_server.config.section import NAME, Section
from token_authority_server.config.values import (
    Address,
    Addresses,
    CertificateText,
    DurationText,
    FilePath,
    Hex32Text,
    NotEmpty,
    SecretText,
    TokenText,
    is_local,
    up_to,
)
from token_authority_server.keyring import (
    AccessKey,
    AppCertificate,
    Keyring,
    KeyState,
    Project,
    Secret,
    SigningKey,
)
from token_authority_server.limits import check_redis
from token_authority_server.log import LogFormat, LogLevel


class ServerSettings(Section):
    """`[server]`: the gRPC server."""

    listen: Addresses = ("127.0.0.1:50051",)
    """Addresses: `ADDRESS:PORT` (port 0: any free one), with TLS where there is `[server.tls]`, and
    `unix:/absolute/path`."""

    mtls_listen: Addresses = ()
    """Addresses that demand a client certificate, by `tls.client_ca`."""

    tls: TlsSettings | None = None
    """Certificates. Absent: no TLS, so that only this machine may reach the server."""

    allow_plaintext: Annotated[bool, Field(strict=True)] = False
    """Whether other machines may reach `listen` without TLS: where a service mesh adds it."""

    admin_listen: Address | None = None
    """Where to serve `/metrics` (Prometheus) and `/health` over HTTP; absent: nowhere."""

    reload_interval: Annotated[DurationText, up_to(timedelta(hours=1), "1h")] = timedelta(seconds=2)
    """How often to look whether this file, or one it names, has changed. 0s: on SIGHUP only."""

    reflection: Annotated[bool, Field(strict=True)] = False
    """Whether clients may read the contract from the server (grpcurl, buf curl)."""

    max_request_bytes: Annotated[int, Field(strict=True, ge=4096, le=16_777_216)] = 1_048_576
    """Larger requests are refused unread: 4 KiB to 16 MiB."""

    max_concurrent_rpcs: Annotated[int, Field(strict=True, ge=1, le=100_000)] = 1000
    """Calls under way at once, health checks included; one more is refused. 1 to 100000."""

    max_in_flight: Annotated[int, Field(strict=True, ge=1, le=100_000)] = 800
    """Calls under way at once, of all callers; one more is refused with a reason. 1 to 100000."""

    drain_notice: Annotated[DurationText, up_to(timedelta(minutes=5), "5m")] = timedelta(seconds=1)
    """On SIGTERM: how long new calls are refused with a reason before connections are. 0s to 5m."""

    drain: Annotated[DurationText, up_to(timedelta(hours=1), "1h")] = timedelta(seconds=20)
    """On SIGTERM: how long calls under way may take to finish after that. 0s to 1h."""

    @model_validator(mode="after")
    def _check(self) -> "ServerSettings":
        if not (self.listen or self.mtls_listen):
            raise ValueError("listens nowhere: add an address to listen or mtls_listen")
        if self.mtls_listen and not (self.tls and self.tls.client_ca):
            raise ValueError("mtls_listen needs [server.tls] with client_ca")
        if any(address.startswith("unix:") for address in self.mtls_listen):
            raise ValueError("a unix socket in mtls_listen has no TLS: put it in listen")
        if self.admin_listen and self.admin_listen.startswith("unix:"):
            raise ValueError("admin_listen must be an ADDRESS:PORT")
        for address in self.listen:
            if not (self.tls or self.allow_plaintext or is_local(address)):
                raise ValueError(
                    f"{address} can be reached by other machines, and tokens and API keys would "
                    "travel in plain text: add [server.tls], or allow_plaintext = true where "
                    "something in front adds TLS"
                )
        return self

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the server, without anything in between."""
        return not self.allow_plaintext and all(map(is_local, (*self.listen, *self.mtls_listen)))


def _redis(secret: Secret) -> Secret:
    check_redis(secret.reveal())
    return secret


class LimitSettings(Section):
    """`[limits]`: where the callers' quotas are counted."""

    redis: Annotated[SecretText, AfterValidator(_redis)] | None = None
    """Where the URL of a Redis is (`redis://…`, `rediss://…`), so that replicas share quotas.
    Absent: each process counts by itself."""


class LogSettings(Section):
    """`[log]`: one line an event, on standard error."""

    format: LogFormat = "auto"
    """`json`, `console` (readable), or `auto`: console where standard error is a terminal."""

    level: LogLevel = "info"
    """The least severe level that is written: debug, info, warning or error."""


class AuditSettings(Section):
    """`[audit]`: the record of every decision. Without a sink there is none."""

    file: FilePath | None = None
    """A file that this server alone appends to, made with mode 0600 if it does not exist."""

    stdout: Annotated[bool, Field(strict=True)] = False
    """Whether records go to standard output, a line each."""

    fsync: FsyncPolicy = "always"
    """When the file is synchronised: `always` before the answer, `interval` within about a second,
    `never` when the operating system likes."""

    required: Annotated[bool, Field(strict=True)] = False
    """Whether a request is refused (AUDIT_UNAVAILABLE) if its record cannot be written."""

    @model_validator(mode="after")
    def _check_sinks(self) -> "AuditSettings":
        if self.required and self.file is None and not self.stdout:
            raise ValueError("required = true needs a place for records: set file or stdout = true")
        return self


KeyId = Annotated[str, Field(pattern=r"^[0-9A-Za-z._-]{1,64}$")]


class CertificateSettings(Section):
    """`[[projects.NAME.agora.certificates]]`: an App Certificate."""

    id: KeyId
    """A name of your own, unique in the project; it stands in logs and answers. Not the secret."""

    secret: CertificateText
    """Where the App Certificate is: 32 hex digits."""

    state: KeyState
    """`active` signs (at most one does), `verify_only` is retired, `disabled` unused."""

    retired_at: AwareDatetime | None = None
    """Since when it does not sign: ListSigningKeys then tells when it can be removed."""


class AgoraSettings(Section):
    """`[projects.NAME.agora]`: RTC and the other products that App Certificates sign for."""

    app_id: Hex32Text
    """The App ID: 32 hex digits."""

    certificates: Annotated[tuple[CertificateSettings, ...], NotEmpty]
    """The project's App Certificates; one is active."""


class AccessKeySettings(Section):
    """`[[projects.NAME.whiteboard.access_keys]]`: an access key pair."""

    id: KeyId
    """A name of your own, unique in the project; it stands in logs and answers. Not the AK."""

    access_key: TokenText
    """The AK, which is written into every token."""

    secret: SecretText
    """Where the SK is."""

    state: KeyState
    """`active` signs (at most one does), `verify_only` is retired, `disabled` unused."""

    retired_at: AwareDatetime | None = None
    """Since when it does not sign: ListSigningKeys then tells when it can be removed."""


class WhiteboardSettings(Section):
    """`[projects.NAME.whiteboard]`: Interactive Whiteboard."""

    access_keys: Annotated[tuple[AccessKeySettings, ...], NotEmpty]
    """The project's access key pairs; one is active."""


class ProjectSettings(Section):
    """`[projects.NAME]`: an Agora project, by the name that requests use."""

    agora: AgoraSettings | None = None
    """App ID and App Certificates; absent if the project needs none."""

    whiteboard: WhiteboardSettings | None = None
    """Whiteboard keys; absent if the project has none."""

    @model_validator(mode="after")
    def _check_keys(self) -> "ProjectSettings":
        if not (self.agora or self.whiteboard):
            raise ValueError("has no keys: add an agora or a whiteboard table")
        keys = self.signing_keys()
        for key in keys:
            if key.key_id in key.confidential():
                raise ValueError("the id of a key is the key itself: ids stand in the log")
            if key.state is KeyState.ACTIVE and key.retired_ms is not None:
                raise ValueError(f"{key.key_id} is active and has retired_at: remove one of them")
        ids = [key.key_id for key in keys]
        for key_id in ids:
            if ids.count(key_id) > 1:
                raise ValueError(f"two keys have the id {key_id!r}: give each its own")
        for product in ("agora", "whiteboard"):
            active = [
                key.key_id
                for key in keys
                if key.product == product and key.state is KeyState.ACTIVE
            ]
            if len(active) > 1:
                raise ValueError(
                    f"the {product} keys {' and '.join(active)} are both active: one may be; set "
                    'the state of the other to "verify_only"'
                )
        return self

    def signing_keys(self) -> tuple[SigningKey, ...]:
        """Returns the project's keys, ready to sign."""
        return (*self._certificates(), *self._access_keys())

    def _certificates(self) -> Iterator[AppCertificate]:
        if self.agora:
            for row in self.agora.certificates:
                yield AppCertificate(
                    row.id, row.state, self.agora.app_id, row.secret, _ms(row.retired_at)
                )

    def _access_keys(self) -> Iterator[AccessKey]:
        if self.whiteboard:
            for row in self.whiteboard.access_keys:
                yield AccessKey(row.id, row.state, row.access_key, row.secret, _ms(row.retired_at))


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
        for name, project in self.projects.items():
            for product in sorted({key.product for key in project.signing_keys()}):
                states = [key.state for key in project.signing_keys() if key.product == product]
                if KeyState.ACTIVE not in states:
                    yield (
                        f"projects.{name}.{product}: no key is active: every request for its "
                        "tokens will be answered with NO_ACTIVE_KEY"
                    )


def _ms(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1000)
