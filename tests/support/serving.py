"""A real server on a real port, in this process or in a process of its own."""

import asyncio
import io
import itertools
import json
import os
import re
import signal
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode, aio

from support.forking import Command, start
from support.granting import all_powerful
from support.keys import (
    ACCESS_KEY,
    APP_ID,
    CERTIFICATE,
    SECRET_KEY,
    SECRETS,
    Moments,
    keyring,
)
from support.waiting import until
from token_authority.v1.token_service_pb2_grpc import TokenServiceStub
from token_authority_server.access.denials import NO_DENIALS, Denials
from token_authority_server.audit import AuditTrail
from token_authority_server.authority import Authority
from token_authority_server.authorization import PolicySnapshot
from token_authority_server.config.server_identity import ServerIdentity
from token_authority_server.identity.directory import Callers
from token_authority_server.identity.jwt_bearer import JwtVerifier
from token_authority_server.keyring import Keyring
from token_authority_server.limits import InFlight, RateLimiter
from token_authority_server.rpc.authentication import Authenticator
from token_authority_server.rpc.authority_service import ServerFacts
from token_authority_server.rpc.handlers import Handlers
from token_authority_server.rpc.methods import methods
from token_authority_server.rpc.observability import Observer
from token_authority_server.rpc.server import Server
from token_authority_server.rpc.server_credentials import ServerCertificates
from token_authority_server.rpc.validation import RequestParser
from token_authority_server.telemetry.log import make_logger
from token_authority_server.telemetry.metrics import Metrics
from token_authority_server.telemetry.tracing import CallTracer

PATH: Final = "/token_authority.v1.TokenService/"
# Reads a file, which would block a running event loop.
PARSER: Final = RequestParser()
_SERVING: Final = '"event": "serving"'
_TOKEN = re.compile(r"007eJ|006[0-9a-fA-F]{32}I|NETLESS(SDK|ROOM|TASK)_")


@dataclass
class Running:
    """A running server and a channel to it."""

    address: str
    server: Server
    channel: Any
    stub: Any
    moments: Moments
    output: io.StringIO = field(repr=False)
    authority: Authority = field(repr=False)
    handlers: Handlers = field(repr=False)
    metrics: Metrics = field(repr=False)

    @property
    def log(self) -> list[dict[str, Any]]:
        """The log so far, one dictionary per line."""
        return [json.loads(line) for line in self.output.getvalue().splitlines()]


def no_trail() -> AuditTrail:
    """Returns an audit trail without sinks."""
    return AuditTrail(
        [], required=False, clock=Moments().clock, on_failure=print, on_recovery=print
    )


def no_limits() -> RateLimiter:
    """Returns a rate limiter in memory."""
    return RateLimiter("memory", on_degraded=print, on_recovered=print)


@asynccontextmanager
async def running(
    keys: Keyring | None = None,
    *,
    who: Callers | None = None,
    denials: Denials = NO_DENIALS,
    jwt: JwtVerifier | None = None,
    listen: str = "127.0.0.1:0",
    identity: ServerIdentity | None = None,
    certificates: ServerCertificates | None = None,
    mutual: bool = False,
    with_reflection: bool = False,
    reuse_port: bool = False,
    max_request_bytes: int = 1_048_576,
    max_in_flight: int = 800,
    moments: Any = None,
    limiter: RateLimiter | None = None,
    trail: AuditTrail | None = None,
    tracer: CallTracer | None = None,
    connect: Callable[[str], Any] = aio.insecure_channel,
) -> AsyncGenerator[Running]:
    """Runs a server and checks that its log shows no token or secret.

    By default any local caller may do everything.
    """
    moments = moments or Moments()
    keys = keys or keyring()
    who = who or all_powerful(keys.project_names)
    trail = trail or no_trail()
    output = io.StringIO()
    metrics = Metrics()
    authority = Authority(
        PolicySnapshot(keys, who, denials), moments, limiter or no_limits(), trail
    )
    logger = make_logger("json", "debug", output)
    in_flight = InFlight(max_in_flight)
    metrics.calls_in_flight.watch(lambda: in_flight.total)
    service = Handlers(
        methods(authority, PARSER, metrics, ServerFacts(max_request_bytes, "1.2.3")),
        Authenticator(who, jwt),
        in_flight,
        # Each line in a second of its own, so that the log has all of them.
        Observer(logger, metrics, trail, itertools.count().__next__, tracer=tracer),
        max_request_bytes,
    )
    if identity:
        certificates = ServerCertificates(identity)
    server = Server(
        service,
        with_reflection=with_reflection,
        max_request_bytes=max_request_bytes,
        reuse_port=reuse_port,
        certificates=certificates,
    )
    places = [listen]
    (address,) = await (server.start([], places) if mutual else server.start(places))
    try:
        async with connect(address) as channel:
            stub = TokenServiceStub(channel)
            yield Running(
                address, server, channel, stub, moments, output, authority, service, metrics
            )
    finally:
        await server.stop(notice_seconds=0, grace_seconds=0)
        await asyncio.to_thread(trail.close)
    text = output.getvalue()
    assert not _TOKEN.search(text)
    assert not any(secret in text for secret in SECRETS)


@dataclass(frozen=True)
class Refused:
    """A failed call with its error details."""

    code: StatusCode
    message: str
    reason: str
    metadata: dict[str, str]
    violations: list[tuple[str, str]]
    """Pairs of field path and reason."""
    details: dict[str, Any]
    """The details by type name."""

    @property
    def fields(self) -> list[str]:
        """The field paths."""
        return [path for path, _ in self.violations]


_DETAILS = {
    kind.DESCRIPTOR.full_name: kind
    for kind in (
        error_details_pb2.ErrorInfo,
        error_details_pb2.BadRequest,
        error_details_pb2.PreconditionFailure,
        error_details_pb2.QuotaFailure,
        error_details_pb2.RetryInfo,
    )
}


async def refused(call: Any) -> Refused:
    """Awaits a call that must fail and returns its error."""
    try:
        await call
    except aio.AioRpcError as error:
        failure = error
    else:
        raise AssertionError("the call was answered")
    # grpcio 1.78's Metadata is no mapping for dict(): its keys() yields pairs.
    metadata = dict(tuple(failure.trailing_metadata() or ()))
    packed_status: Any = metadata.get("grpc-status-details-bin", b"")
    status = status_pb2.Status.FromString(packed_status)
    details: dict[str, Any] = {}
    for packed in status.details:
        name = packed.TypeName()
        details[name.rpartition(".")[2]] = message = _DETAILS[name]()
        packed.Unpack(message)
    info = details.get("ErrorInfo", error_details_pb2.ErrorInfo())
    request = details.get("BadRequest", error_details_pb2.BadRequest())
    if details:
        assert info.domain == "token-authority"
        assert status.message == failure.details()
        assert status.code == failure.code().value[0]
    return Refused(
        failure.code(),
        failure.details() or "",
        info.reason,
        dict(info.metadata),
        [(violation.field, violation.reason) for violation in request.field_violations],
        details,
    )


class ServerProcess:
    """A process that runs `token-authority serve …`."""

    def __init__(self, process: Command, folder: Path) -> None:
        self.process = process
        self.address = ""
        self._folder = folder
        self._kept: dict[str, str] = {}

    @property
    def stdout(self) -> str:
        """Its standard output so far."""
        return self._read("stdout")

    @property
    def stderr(self) -> str:
        """Its standard error so far."""
        return self._read("stderr")

    def keep(self) -> None:
        """Keeps its output, whose files are about to be removed."""
        self._kept = {"stdout": self.stdout, "stderr": self.stderr}

    def _read(self, name: str) -> str:
        return self._kept[name] if self._kept else (self._folder / name).read_text()

    async def stop(self, signal_number: signal.Signals = signal.SIGTERM) -> int:
        """Sends a signal and returns the exit code."""
        self.process.send_signal(signal_number)
        return await self.ended()

    async def ended(self) -> int:
        """Waits until it exits and returns the exit code."""
        return await asyncio.wait_for(self.process.wait(), 30)


def command() -> list[str]:
    """Returns the command that runs the command line of this installation in a new interpreter."""
    return [sys.executable, "-m", "token_authority_cli"]


@asynccontextmanager
async def serving(
    *arguments: str, environment: dict[str, str] | None = None
) -> AsyncGenerator[ServerProcess]:
    """Runs `serve` with arguments; yields once it serves."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
            process = await start(
                *("serve", *arguments),
                stdout=out.fileno(),
                stderr=err.fileno(),
                env={**os.environ, **(environment or {})},
            )
        server = ServerProcess(process, folder)
        try:
            await until(lambda: process.returncode is not None or _SERVING in server.stderr, 30)
            assert process.returncode is None, f"the server ended: {server.stderr}"
            (line,) = [line for line in server.stderr.splitlines() if _SERVING in line]
            server.address = json.loads(line)["listen"][0]
            yield server
        finally:
            process.kill()
            await process.wait()
            server.keep()


CONFIG: Final = f"""
[server]
listen = ["127.0.0.1:0"]
drain_notice = "500ms"

[log]
format = "json"

[projects.classroom.agora]
app_id = "{APP_ID}"
[[projects.classroom.agora.certificates]]
id = "cert"
secret = {{ file = "cert" }}
state = "active"

[[projects.classroom.whiteboard.access_keys]]
id = "ak"
access_key = "{ACCESS_KEY}"
secret = {{ file = "sk" }}
state = "active"

[[callers]]
name = "tester"
identities = ["local"]
[[callers.grants]]
name = "everything"
project = "classroom"
tokens = [
  "whiteboard", "whiteboard.sdk", "rtc", "rtm", "chat", "chat.app", "education", "education.app",
  "access_token", "streaming", "fcdn", "fpa", "convo_ai", "stt",
]
roles = ["*"]
channels = ["*"]
users = ["*"]
rooms = ["*"]
allow = [
  "any_user", "any_channel", "channel_pattern", "non_expiring", "v006", "inspect", "list_keys",
]
"""


def write_config(folder: Path, text: str = CONFIG) -> Path:
    """Writes a configuration file and the secret files beside it."""
    odd = {"spaced": " a", "lines": "a\nb", "long": "a" * 5000}
    for name, secret in {
        **odd,
        "cert": CERTIFICATE,
        "sk": SECRET_KEY,
        "short": "5CFd",
        "empty": "",
    }.items():
        (folder / name).write_text(secret + "\n")
    path = folder / "token-authority.toml"
    path.write_text(text)
    return path
