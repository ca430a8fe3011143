"""`token-authority doctor`: goes the way of a call step by step, and says where it ends."""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import grpc

from token_authority_cli import server_options
from token_authority_cli.commands import HELP
from token_authority_cli.first_token import request_for
from token_authority_cli.output import as_json, complain, error_as_json
from token_authority_client import (
    AuthorityInfo,
    ConfigurationError,
    TokenAuthorityClient,
    TokenAuthorityError,
    Unauthenticated,
    Unavailable,
    Unimplemented,
)
from token_authority_client._diagnosis import Diagnosed
from token_authority_client._probe import connect, greet, resolve, speaks_http2
from token_authority_client._security import Security
from token_authority_client._target import Endpoint, Target, parse
from token_authority_client._transport import HEALTH_PATH, Channel

_SERVING: Final = b"\x08\x01"
"""A HealthCheckResponse of grpc.health.v1 with the status SERVING."""
_NOT_READY: Final = "token-authority-not-ready"
"""Trailing metadata of a health check: why the server does not serve."""
_CAUSES: Final = {
    "audit": "its required audit trail cannot be written",
    "certificate": "its TLS certificate has expired",
    "draining": "it is shutting down",
}
_LARGEST_SKEW_SECONDS: Final = 5.0
_ABOUT_THE_CALLER: Final = "CLIENT_CERTIFICATE"


class _Skipped(Exception):
    """A step that has nothing to show here; the text says why."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step on the way."""

    name: str
    status: str
    """ok, failed or skipped."""
    seconds: float
    detail: str
    """What was found."""
    advice: str = ""
    """What to do, where it failed."""
    exit_code: int = 0
    """Of `doctor`, if this fails."""


def add_commands(commands: Any) -> None:
    """Adds `doctor`."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "doctor",
        help=HELP["doctor"],
        description="Go the way of a call step by step: the name, the connection, TLS, the "
        "server's health, who it takes you for, the clocks, and a first token, which is not "
        "signed. Say how long each takes, and what to do about the first that fails.",
        allow_abbrev=False,
    )
    server_options.add_options(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    try:
        examination = _Examination(arguments)
        with examination.client:
            steps = examination.steps()
    except ConfigurationError as error:
        if arguments.json:
            print(error_as_json(error))
        else:
            complain(str(error))
        return server_options.USAGE
    if arguments.json:
        print(as_json({"target": arguments.target, "steps": steps}))
    else:
        for step in steps:
            _show(step)
    return next((step.exit_code for step in steps if step.status == "failed"), 0)


def _show(step: Step) -> None:
    print(f"{step.status:<8} {step.name:<8} {step.seconds * 1000:>6.0f} ms  {step.detail}")
    if step.advice:
        print(f"{'':<29}{step.advice}")


class _Examination:
    """What the steps learn on the way."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.client: TokenAuthorityClient = server_options.client(arguments)
        self._target: Target = parse(arguments.target)
        self._timeout = arguments.timeout.total_seconds()
        self._security = Security(
            self._target,
            tls=server_options.tls(arguments),
            credential=server_options.credential(arguments),
            credentials=None,
        )
        if self._security.is_due():
            self._security.read()
        self._info: AuthorityInfo | None = None
        self._skew_seconds = 0.0

    def steps(self) -> list[Step]:
        """Takes the steps, up to the first that fails."""
        taken = list[Step]()
        for name, take in (
            ("resolve", self._resolve),
            ("connect", self._connect),
            ("tls", self._greet),
            ("health", self._check_health),
            ("caller", self._ask_who),
            ("clock", self._compare_clocks),
            ("token", self._ask_for_a_token),
        ):
            step = _timed(name, take)
            taken.append(step)
            if step.status == "failed":
                break
        return taken

    def _resolve(self) -> str:
        hosts = [endpoint for endpoint in self._endpoints() if not endpoint.path]
        if not hosts:
            raise _Skipped("a socket has no name")
        return ", ".join([address for endpoint in hosts for address in resolve(endpoint)])

    def _connect(self) -> str:
        for endpoint in self._endpoints():
            connect(endpoint).close()
        return ", ".join([str(endpoint) for endpoint in self._endpoints()])

    def _endpoints(self) -> tuple[Endpoint, ...]:
        if not self._target.endpoints:
            raise _Skipped(f"only grpc knows what {self._target.text} stands for")
        return self._target.endpoints

    def _greet(self) -> str:
        found = list[str]()
        for endpoint in self._endpoints():
            session = greet(connect(endpoint), endpoint, self._security)
            if session is None:
                raise _Skipped("plaintext")
            names = ", ".join(session.names)
            found.append(f"{session.version}, {names} until {session.expires}")
        return "; ".join(found)

    def _check_health(self) -> str:
        channel = Channel(grpc, self._target, self._security).channel
        try:
            check = channel.unary_unary(HEALTH_PATH)
            answer, call = check.with_call(
                b"", timeout=self._timeout, metadata=self._security.metadata()
            )
        except grpc.RpcError as error:
            failed: Any = error
            if failed.code() is grpc.StatusCode.UNIMPLEMENTED:
                raise _Skipped("the server does not serve grpc.health.v1") from None
            if failed.code() is grpc.StatusCode.UNAVAILABLE:
                self._expect_http2()
            advice = "look at the server's log"
            raise Unavailable(f"{failed.code().name}: {advice}", advice=advice) from None
        finally:
            channel.close()
        if answer != _SERVING:
            raise _not_ready(call.trailing_metadata() or ())
        return "serving"

    def _expect_http2(self) -> None:
        """Says so where something else answers: its failure looks like that of a server in trouble.

        Only for what grpc could not ask: a server that is merely slow would seem to be silent.
        """
        if not self._security.is_plaintext:
            return
        for endpoint in self._target.endpoints:
            if not speaks_http2(endpoint):
                raise Diagnosed(
                    "NO_GRPC",
                    f"{endpoint} answers, and not with gRPC",
                    "correct the port: is that admin_listen?",
                )

    def _ask_who(self) -> str:
        asked_at = time.time()
        try:
            self._info = info = self.client.get_authority_info()
        except Unimplemented:
            raise _Skipped("the server is older than this client, and does not say") from None
        middle = (asked_at + time.time()) / 2
        self._skew_seconds = (
            info.server_time - datetime.fromtimestamp(middle, UTC)
        ).total_seconds()
        grants = ", ".join([grant.name for grant in info.grants]) or "none"
        return f"{info.caller}, by {info.identity}; grants: {grants}"

    def _compare_clocks(self) -> str:
        if self._info is None:
            raise _Skipped("the server does not tell its time")
        skew = self._skew_seconds
        detail = f"the server's is {abs(skew):.1f} s {'ahead' if skew >= 0 else 'behind'}"
        if abs(skew) > _LARGEST_SKEW_SECONDS:
            advice = (
                "set both by NTP: Agora and browsers count a token's life by clocks of their own"
            )
            raise TokenAuthorityError(f"{detail}: {advice}", advice=advice)
        return detail

    def _ask_for_a_token(self) -> str:
        request = request_for(self._info)
        if request is None:
            raise _Skipped("no grant is for a kind of token that can be tried here")
        decision = self.client.validate_only.issue(request)
        return f"{request.method} is allowed by grant {decision.grant}, would be signed by " + (
            decision.key_id
        )


def _not_ready(metadata: Any) -> Unavailable:
    """Names the cause that the server gives for not serving."""
    named = next((value for key, value in metadata if key == _NOT_READY), "")
    causes = [_CAUSES.get(name, name) for name in named.split(",") if name]
    problem = (
        f"the server does not serve: {' and '.join(causes)}"
        if causes
        else "the server does not serve"
    )
    advice = "see /readyz on its admin listener, or its log; another replica may answer"
    return Unavailable(f"{problem}: {advice}", advice=advice)


def _timed(name: str, take: Callable[[], str]) -> Step:
    started = time.perf_counter()
    status, detail, advice, code = "ok", "", "", 0
    try:
        detail = take()
    except _Skipped as reason:
        status, detail = "skipped", str(reason)
    except Diagnosed as found:
        diagnosis = found.diagnosis
        status, detail, advice = "failed", diagnosis.problem, diagnosis.advice
        about_caller = diagnosis.reason.startswith(_ABOUT_THE_CALLER)
        code = server_options.exit_code((Unauthenticated if about_caller else Unavailable)(detail))
    except TokenAuthorityError as error:
        status, advice, code = "failed", error.advice, server_options.exit_code(error)
        detail = error.message.removesuffix(f": {advice}")
    except OSError as error:
        status, detail, code = "failed", f"{error}", server_options.exit_code(Unavailable(""))
    return Step(name, status, time.perf_counter() - started, detail, advice, code)
