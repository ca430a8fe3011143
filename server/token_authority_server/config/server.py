"""`[server]`, `[limits]`, `[log]` and `[audit]`: settings whose change needs a restart."""

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from token_authority_server.audit import FsyncPolicy
from token_authority_server.config.addresses import (
    Address,
    Addresses,
    is_local,
    sharing_a_port,
)
from token_authority_server.config.authentication import TlsSettings
from token_authority_server.config.section import Section
from token_authority_server.config.values import (
    DurationText,
    FilePath,
    SecretText,
    up_to,
)
from token_authority_server.keyring import Secret
from token_authority_server.limits import check_redis
from token_authority_server.telemetry.log import LogFormat, LogLevel


class GrpcServerSettings(Section):
    """`[server]`: the gRPC server."""

    listen: Addresses = ("127.0.0.1:50051",)
    """Addresses: `ADDRESS:PORT` (port 0: any free port), with TLS if `[server.tls]` is present, and
    `unix:/absolute/path`."""

    mtls_listen: Addresses = ()
    """Addresses that require a client certificate signed by `tls.client_ca`."""

    tls: TlsSettings | None = None
    """Certificates. Absent: no TLS, and only local addresses are allowed."""

    reuse_port: Annotated[bool, Field(strict=True)] = False
    """Whether several instances of the same user may share the ports of `listen` and `mtls_listen`
    (SO_REUSEPORT); all of them have to set it."""

    allow_plaintext: Annotated[bool, Field(strict=True)] = False
    """Whether `listen` may be non-local without TLS, e.g. if a service mesh adds TLS."""

    admin_listen: Address | None = None
    """The HTTP address of `/metrics` (Prometheus), `/livez`, `/readyz` and its alias `/health`;
    absent: none."""

    health_listen: Address | None = None
    """The HTTP address of `/livez` and `/readyz` without `/metrics`; absent: none."""

    reload_interval: Annotated[DurationText, up_to(timedelta(hours=1), "1h")] = timedelta(seconds=2)
    """How often to check this file, and the files it names, for changes. 0s: on SIGHUP only."""

    reflection: Annotated[bool, Field(strict=True)] = False
    """Whether gRPC server reflection is enabled (for grpcurl, buf curl)."""

    max_request_bytes: Annotated[int, Field(strict=True, ge=4096, le=16_777_216)] = 1_048_576
    """The largest request in bytes, decompressed; one that exceeds it by over 64 KiB is refused
    unread. 4096 to 16777216."""

    max_concurrent_rpcs: Annotated[int, Field(strict=True, ge=1, le=100_000)] = 1000
    """An upper bound of `max_in_flight`, kept for compatibility. 1 to 100000."""

    max_in_flight: Annotated[int, Field(strict=True, ge=1, le=100_000)] = 800
    """The most concurrent calls of all callers together; a call counts before its message arrives.
    1 to 100000."""

    drain_notice: Annotated[DurationText, up_to(timedelta(minutes=5), "5m")] = timedelta(seconds=1)
    """On SIGTERM: how long calls are still answered while health is NOT_SERVING. 0s to 5m."""

    drain: Annotated[DurationText, up_to(timedelta(hours=1), "1h")] = timedelta(seconds=20)
    """On SIGTERM, after `drain_notice`: how long calls in flight may take to finish. 0s to 1h."""

    @model_validator(mode="after")
    def _check(self) -> "GrpcServerSettings":
        if not (self.listen or self.mtls_listen):
            raise ValueError("has no address: add one to listen or mtls_listen")
        if self.mtls_listen and not (self.tls and self.tls.client_ca):
            raise ValueError("mtls_listen needs [server.tls] with client_ca")
        if any(address.startswith("unix:") for address in self.mtls_listen):
            raise ValueError(
                "mtls_listen cannot contain a unix socket, which has no TLS: move it to listen"
            )
        for name in ("admin_listen", "health_listen"):
            if (getattr(self, name) or "").startswith("unix:"):
                raise ValueError(f"{name} must be an ADDRESS:PORT")
        http = [address for address in (self.admin_listen, self.health_listen) if address]
        if shared := sharing_a_port([*self.listen, *self.mtls_listen, *http]):
            raise ValueError(
                f"{shared[0]} and {shared[1]} share a port, so that only one of them can be "
                "listened on: remove one, or give it another port"
            )
        for address in self.listen:
            if not (self.tls or self.allow_plaintext or is_local(address)):
                raise ValueError(
                    f"other machines can connect to {address}, and API keys and tokens would be "
                    "sent in plain text: add [server.tls], or set allow_plaintext = true if a "
                    "proxy or service mesh adds TLS"
                )
        return self

    @property
    def is_local(self) -> bool:
        """Whether only this machine can connect, without a proxy in front."""
        return not self.allow_plaintext and all(map(is_local, (*self.listen, *self.mtls_listen)))


def _redis(secret: Secret) -> Secret:
    check_redis(secret.reveal())
    return secret


class LimitSettings(Section):
    """`[limits]`: where rate limits are counted."""

    redis: Annotated[SecretText, AfterValidator(_redis)] | None = None
    """A reference to the URL of a Redis (`redis://…`, `rediss://…`), in which replicas share
    their counts. Absent: each process counts separately."""


class LogSettings(Section):
    """`[log]`: one line per event, on standard error."""

    format: LogFormat = "auto"
    """`json`, `console` (readable), or `auto`: console on a terminal, else json."""

    level: LogLevel = "info"
    """The least severe level that is written: debug, info, warning or error. Reloaded."""


class AuditSettings(Section):
    """`[audit]`: the record of every decision. Without `file` and `stdout` nothing is recorded."""

    file: FilePath | None = None
    """A file that only this server appends to, created with mode 0600 if it does not exist."""

    stdout: Annotated[bool, Field(strict=True)] = False
    """Whether records are written to standard output, one per line."""

    fsync: FsyncPolicy = "always"
    """When the file is synchronised: `always` before the response, `interval` within about a
    second, `never` whenever the operating system decides."""

    required: Annotated[bool, Field(strict=True)] = False
    """Whether a request is refused (AUDIT_UNAVAILABLE) if its record cannot be written."""

    @model_validator(mode="after")
    def _check_sinks(self) -> "AuditSettings":
        if self.required and self.file is None and not self.stdout:
            raise ValueError("required = true needs a destination: set file, or stdout = true")
        return self
