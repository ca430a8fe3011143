"""`token-authority doctor`: checks each step of a call, up to the first that fails."""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from token_authority_cli import server_options
from token_authority_cli.commands import HELP
from token_authority_cli.first_token import request_for
from token_authority_cli.output import as_json, complain, error_as_json
from token_authority_client import (
    AuthorityInfo,
    ConfigurationError,
    ConnectionCheck,
    TokenAuthorityClient,
    TokenAuthorityError,
    Unimplemented,
)

_LARGEST_SKEW_SECONDS: Final = 5.0


class _Skipped(Exception):
    """A step that does not apply, with the cause."""


@dataclass(frozen=True, slots=True)
class Step:
    """The result of one step."""

    name: str
    """What was checked, e.g. `tls`."""
    status: str
    """ok, failed or skipped."""
    seconds: float
    """How long the step took."""
    detail: str
    """What was found, or why the step failed or was skipped."""
    advice: str = ""
    """What to do if the step failed."""
    exit_code: int = 0
    """The exit code of `doctor` if the step failed."""


def add_commands(commands: Any) -> None:
    """Adds `doctor`."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "doctor",
        help=HELP["doctor"],
        description="Check each step of a call: name resolution, connection, TLS, the server's "
        "health, your identity, the clocks, and a first token, which is not signed. Print how long "
        "each step takes, and what to do about the first that fails.",
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
    """The steps, and what later steps need of earlier ones."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.client: TokenAuthorityClient = server_options.client(arguments)
        settings = server_options.settings(arguments)
        self._target = settings.target
        self._check = ConnectionCheck(
            settings.target,
            tls=settings.tls_settings(),
            credential=settings.credential(),
            timeout=arguments.timeout,
        )
        self._info: AuthorityInfo | None = None
        self._skew_seconds = 0.0

    def steps(self) -> list[Step]:
        """Runs the steps, up to the first that fails."""
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
        return self._applicable(self._check.resolve(), "a unix socket has no name")

    def _connect(self) -> str:
        return self._applicable(self._check.connect(), "no address")

    def _greet(self) -> str:
        return self._applicable(self._check.handshake(), "plaintext")

    def _applicable(self, found: str | None, otherwise: str) -> str:
        if self._check.is_resolved_by_grpc:
            raise _Skipped(f"only gRPC resolves {self._target}")
        if found is None:
            raise _Skipped(otherwise)
        return found

    def _check_health(self) -> str:
        status = self._check.health()
        if status is None:
            raise _Skipped("the server does not serve grpc.health.v1")
        return status

    def _ask_who(self) -> str:
        asked_at = time.time()
        try:
            self._info = info = self.client.get_authority_info()
        except Unimplemented:
            raise _Skipped("the server is older than this client") from None
        middle = (asked_at + time.time()) / 2
        self._skew_seconds = (
            info.server_time - datetime.fromtimestamp(middle, UTC)
        ).total_seconds()
        grants = ", ".join([grant.name for grant in info.grants]) or "none"
        return f"{info.caller}, by {info.identity}; grants: {grants}"

    def _compare_clocks(self) -> str:
        if self._info is None:
            raise _Skipped("the server's time is unknown")
        skew = self._skew_seconds
        detail = f"the server's clock is {abs(skew):.1f} s {'ahead' if skew >= 0 else 'behind'}"
        if abs(skew) > _LARGEST_SKEW_SECONDS:
            advice = (
                "synchronize both with NTP: Agora and browsers compare tokens with their own clocks"
            )
            raise TokenAuthorityError(f"{detail}: {advice}", advice=advice)
        return detail

    def _ask_for_a_token(self) -> str:
        request = request_for(self._info)
        if request is None:
            raise _Skipped("no grant allows a token type that doctor can try")
        decision = self.client.validate_only.issue(request)
        return f"{request.method} is allowed by grant {decision.grant}, would be signed by " + (
            decision.key_id
        )


def _timed(name: str, take: Callable[[], str]) -> Step:
    started = time.perf_counter()
    status, detail, advice, code = "ok", "", "", 0
    try:
        detail = take()
    except _Skipped as reason:
        status, detail = "skipped", str(reason)
    except TokenAuthorityError as error:
        status, advice, code = "failed", error.advice, server_options.exit_code(error)
        detail = error.message.removesuffix(f": {advice}")
    return Step(name, status, time.perf_counter() - started, detail, advice, code)
