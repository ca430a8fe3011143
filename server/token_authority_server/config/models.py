"""The sections of the file, as frozen models; the docstring of a field documents the key."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, model_validator

from token_authority_server.audit import FsyncPolicy
from token_authority_server.config.values import (
    Addresses,
    CertificateText,
    DurationText,
    FilePath,
    Hex32Text,
    NotEmpty,
    SecretText,
    TokenText,
    up_to,
)
from token_authority_server.keyring import (
    AccessKey,
    AppCertificate,
    Keyring,
    KeyState,
    Project,
    SigningKey,
)
from token_authority_server.log import LogFormat, LogLevel

_NAME: Final = r"^[a-z][0-9a-z-]{0,62}$"


class Section(BaseModel):
    """A table of the file: frozen, and no key but those it declares."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=True, use_attribute_docstrings=True
    )


class ServerSettings(Section):
    """`[server]`: the gRPC server."""

    listen: Addresses = ("127.0.0.1:50051",)
    """Addresses: `HOST:PORT` (port 0: any free one) or `unix:/absolute/path`. Loopback only."""

    reflection: Annotated[bool, Field(strict=True)] = False
    """Whether clients may read the contract from the server (grpcurl, buf curl)."""

    max_request_bytes: Annotated[int, Field(strict=True, ge=4096, le=16_777_216)] = 1_048_576
    """Larger requests are refused unread: 4 KiB to 16 MiB."""

    max_concurrent_rpcs: Annotated[int, Field(strict=True, ge=1, le=100_000)] = 1000
    """Calls under way at once, health checks included; one more is refused. 1 to 100000."""

    drain_notice: Annotated[DurationText, up_to(timedelta(minutes=5), "5m")] = timedelta(seconds=1)
    """On SIGTERM: how long new calls are refused with a reason before connections are. 0s to 5m."""

    drain: Annotated[DurationText, up_to(timedelta(hours=1), "1h")] = timedelta(seconds=20)
    """On SIGTERM: how long calls under way may take to finish after that. 0s to 1h."""


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
                yield AppCertificate(row.id, row.state, self.agora.app_id, row.secret)

    def _access_keys(self) -> Iterator[AccessKey]:
        if self.whiteboard:
            for row in self.whiteboard.access_keys:
                yield AccessKey(row.id, row.state, row.access_key, row.secret)


class Settings(Section):
    """The whole file."""

    server: ServerSettings = ServerSettings()
    """The gRPC server."""

    log: LogSettings = LogSettings()
    """The log."""

    audit: AuditSettings = AuditSettings()
    """The audit trail."""

    projects: Annotated[dict[Annotated[str, Field(pattern=_NAME)], ProjectSettings], NotEmpty]
    """The projects, by name: lower-case letters, digits and `-`, 63 at most."""

    def keyring(self) -> Keyring:
        """Returns the projects and their keys."""
        return Keyring(Project(name, row.signing_keys()) for name, row in self.projects.items())

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
