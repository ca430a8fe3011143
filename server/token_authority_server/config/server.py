"""`[server]`, `[limits]`, `[log]` and `[audit]`: what stands until the server is restarted."""

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from token_authority_server.audit import FsyncPolicy
from token_authority_server.config.authentication import TlsSettings
from token_authority_server.config.section import Section
from token_authority_server.config.values import (
    Address,
    Addresses,
    DurationText,
    FilePath,
    SecretText,
    is_local,
    up_to,
)
from token_authority_server.keyring import Secret
from token_authority_server.limits import check_redis
from token_authority_server.telemetry.log import LogFormat, LogLevel


class GrpcServerSettings(Section):
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
    """Where to serve `/metrics` (Prometheus), `/livez`, `/readyz` and its alias `/health` over
    HTTP; absent: nowhere."""

    health_listen: Address | None = None
    """Where to serve `/livez` and `/readyz` alone over HTTP; absent: nowhere else."""

    reload_interval: Annotated[DurationText, up_to(timedelta(hours=1), "1h")] = timedelta(seconds=2)
    """How often to look whether this file, or one it names, has changed. 0s: on SIGHUP only."""

    reflection: Annotated[bool, Field(strict=True)] = False
    """Whether clients may read the contract from the server (grpcurl, buf curl)."""

    max_request_bytes: Annotated[int, Field(strict=True, ge=4096, le=16_777_216)] = 1_048_576
    """Larger requests, decompressed, are refused, and those larger by over 64 KiB unread: 4 KiB to
    16 MiB."""

    max_concurrent_rpcs: Annotated[int, Field(strict=True, ge=1, le=100_000)] = 1000
    """An upper bound on `max_in_flight`, kept for existing files. 1 to 100000."""

    max_in_flight: Annotated[int, Field(strict=True, ge=1, le=100_000)] = 800
    """Calls in flight at once, of all callers, those included whose body has not arrived yet; one
    more is refused. 1 to 100000."""

    drain_notice: Annotated[DurationText, up_to(timedelta(minutes=5), "5m")] = timedelta(seconds=1)
    """On SIGTERM: how long calls are still answered while health says NOT_SERVING. 0s to 5m."""

    drain: Annotated[DurationText, up_to(timedelta(hours=1), "1h")] = timedelta(seconds=20)
    """On SIGTERM: how long calls in flight may take to finish after that. 0s to 1h."""

    @model_validator(mode="after")
    def _check(self) -> "GrpcServerSettings":
        if not (self.listen or self.mtls_listen):
            raise ValueError("listens nowhere: add an address to listen or mtls_listen")
        if self.mtls_listen and not (self.tls and self.tls.client_ca):
            raise ValueError("mtls_listen needs [server.tls] with client_ca")
        if any(address.startswith("unix:") for address in self.mtls_listen):
            raise ValueError("a unix socket in mtls_listen has no TLS: put it in listen")
        for name in ("admin_listen", "health_listen"):
            if (getattr(self, name) or "").startswith("unix:"):
                raise ValueError(f"{name} must be an ADDRESS:PORT")
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
