"""`token-authority serve` and `check-config`: the commands that need the `[server]` extra.

They import the server only when they run: commands of the client need none of its packages.
"""

import argparse
import importlib
import os
import shlex
import shutil
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from token_authority_cli.commands import HELP
from token_authority_cli.output import as_json, complain
from token_authority_client import DEFAULT_TARGET

if TYPE_CHECKING:
    from token_authority_server.config import Settings

_BANNER = """\
agora-token-authority {version}: development server on {addresses}

  Its keys are generated at start and kept in memory only. Every user of this machine can issue any
  token of project "dev". Stop it with Ctrl-C.

Try it in another terminal:

  {command} issue rtc{target} --channel lesson-1 --uid 7 --role publisher
  {command} issue whiteboard{target} --room 4a50cb3b6a0c4b5e --role writer --ttl 1h
  {command} issue rtc{target} --channel lesson-1 --uid 0 --role publisher   # refused, with advice
"""


def add_commands(commands: Any) -> None:
    """Adds `serve` and `check-config`."""
    _add_serve(commands)
    _add_check_config(commands)


def _add_serve(commands: Any) -> None:
    serve = commands.add_parser(
        "serve",
        help=HELP["serve"],
        description="Run a token authority until SIGTERM or Ctrl-C; then finish the calls in "
        "flight and exit with 0. A second signal stops it immediately.",
        allow_abbrev=False,
    )
    source = serve.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--dev",
        action="store_true",
        help="a development server: loopback only, one project, keys in memory only",
    )
    source.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="a TOML file; variables like TOKEN_AUTHORITY__SERVER__DRAIN override its keys",
    )
    serve.add_argument(
        "--listen",
        action="append",
        metavar="ADDRESS",
        help=f"with --dev: HOST:PORT (port 0: any) or unix:/PATH; by default {DEFAULT_TARGET}",
    )
    serve.add_argument(
        "--reuse-port",
        action="store_true",
        help="with --config: share the ports with other instances of this user, as "
        "server.reuse_port = true does",
    )
    serve.set_defaults(run=needs_server(_serve), parser=serve)


def _add_check_config(commands: Any) -> None:
    check = commands.add_parser(
        "check-config",
        help=HELP["check-config"],
        description="Read a configuration file and its secrets as `serve` would, check its callers "
        "and grants against its [[tests]], check that its audit file and addresses can be used, "
        "and print a summary. Exits with 2 if `serve` would not start. Addresses and files in use "
        "by a running server are not an error.",
        allow_abbrev=False,
    )
    check.add_argument("file", type=Path, metavar="FILE", help="a TOML file")
    check.add_argument("--json", action="store_true", help="print the result as JSON, also errors")
    check.set_defaults(run=needs_server(_check_config))


def needs_server(run: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """Wraps a command so that a missing package of the extra is explained."""

    def checked(arguments: argparse.Namespace) -> int:
        try:
            importlib.import_module("token_authority_server.process.serve")
        except ModuleNotFoundError as error:
            complain(
                f"this command requires the server, but its package {error.name} is not installed: "
                "run pip install 'agora-token-authority[server]'"
            )
            return 1
        return run(arguments)

    return checked


def _serve(arguments: argparse.Namespace) -> int:
    from token_authority_server.process.command import REUSE_PORT, run  # noqa: PLC0415  # lazily

    if arguments.listen and not arguments.dev:
        arguments.parser.error(
            "--listen requires --dev; with --config, set server.listen in the file"
        )
    if arguments.reuse_port and arguments.dev:
        arguments.parser.error(
            "--reuse-port requires --config: each development server generates different keys"
        )
    overrides = REUSE_PORT if arguments.reuse_port else None
    on_ready = _print_banner if arguments.dev else _ignore
    listen = arguments.listen or [DEFAULT_TARGET]
    return run(arguments.config, listen, on_ready, complain, overrides=overrides)


def _ignore(addresses: list[str]) -> None:
    """Prints nothing: the log has the addresses."""


def _print_banner(addresses: list[str]) -> None:
    print(
        _BANNER.format(
            version=version("agora-token-authority"),
            addresses=" and ".join(addresses),
            command=_this_command(),
            target="" if DEFAULT_TARGET in addresses else f" --target {shlex.quote(addresses[0])}",
        ),
        flush=True,
    )


def _this_command() -> str:
    """Returns the shell command that runs this program again from the current folder."""
    path = Path(sys.argv[0])
    if path.name == "__main__.py":
        return f"{shlex.quote(sys.executable)} -m token_authority_cli"
    if shutil.which(path.name) == str(path):
        return path.name
    return shlex.quote(os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path))


def _check_config(arguments: argparse.Namespace) -> int:
    from token_authority_server import config  # noqa: PLC0415  # lazily: see the module
    from token_authority_server.audit import AuditError  # noqa: PLC0415
    from token_authority_server.process.preflight import check_start  # noqa: PLC0415
    from token_authority_server.rpc.unix_socket import ListenError  # noqa: PLC0415

    try:
        settings = config.load(arguments.file, os.environ)
        check_start(settings)
    except (config.ConfigError, ListenError, AuditError) as error:
        if arguments.json:
            print(as_json({"error": {"mistakes": str(error).splitlines()}}))
            return 2
        return complain_of_config(error)
    warnings = [*settings.warnings(), *settings.expirations(datetime.now(UTC))]
    if arguments.json:
        print(as_json({"summary": _summary(settings), "warnings": warnings}))
        return 0
    print("\n".join(_summary(settings)))
    for warning in warnings:
        complain(f"warning: {arguments.file}: {warning}")
    return 0


def _summary(settings: "Settings") -> list[str]:
    server = settings.server
    tls = " with TLS" if server.tls else " in plain text"
    lines = [f"listens on {address}{tls}" for address in server.listen]
    lines += [f"listens on {address} with mTLS" for address in server.mtls_listen]
    for name, project in settings.projects.items():
        lines.append(f"project {name}")
        for key in project.signing_keys():
            app = f" of App ID {key.app_id}" if key.app_id else ""
            lines.append(f"  {key.product} key {key.key_id}{app}: {key.state}")
    for caller in settings.callers:
        lines.append(f"caller {caller.name}")
        lines += [f"  identity {identity}" for identity in caller.described_identities()]
        for grant in caller.grants:
            allow = f", and {', '.join(grant.allow)}" if grant.allow else ""
            tokens = ", ".join(sorted(grant.token_types())) or "no tokens"
            lines.append(f"  grant {grant.name} for project {grant.project}: {tokens}{allow}")
    if settings.tests:
        lines.append(f"{len(settings.tests)} tests pass")
    return lines


def complain_of_config(error: Exception) -> int:
    """Prints each mistake of a configuration, and returns the exit code."""
    for line in str(error).splitlines():
        complain(line)
    return 2
