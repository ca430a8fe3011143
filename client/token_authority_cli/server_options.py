"""Options and exit codes of the commands that call a server."""

import argparse
import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final, TypeVar

import token_authority_client
from token_authority_cli.arguments import duration
from token_authority_cli.commands import EXIT_CODES
from token_authority_cli.option_names import in_options
from token_authority_cli.output import as_json, complain, error_as_json
from token_authority_client import (
    DEFAULT_TARGET,
    ServerSettings,
    TokenAuthorityClient,
    TokenAuthorityError,
)

AnswerT = TypeVar("AnswerT")

USAGE: Final = 2
_EXIT_CODES: Final[Mapping[type[TokenAuthorityError], int]] = {
    getattr(token_authority_client, name): exit_code.code
    for exit_code in EXIT_CODES
    for name in exit_code.errors
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options that select a server, and --json."""
    parser.set_defaults(parser=parser)
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    server = parser.add_argument_group("server")
    _add(
        server,
        "--target",
        "ADDRESS",
        "HOST:PORT, IP addresses with ports separated by commas, dns:///NAME:PORT or unix:/PATH; "
        f"default {DEFAULT_TARGET}",
        default=DEFAULT_TARGET,
    )
    _add(server, "--token-file", "FILE", "a file that contains your API key or JWT")
    server.add_argument(
        "--tls",
        action="store_true",
        help=f"use TLS and trust public CAs [${ServerSettings.variable('tls')}=1]",
    )
    _add(server, "--ca", "FILE", "use TLS and trust the CAs in this PEM file")
    _add(server, "--cert", "FILE", "the client certificate (mTLS), a PEM file")
    _add(server, "--key", "FILE", "the private key of --cert, a PEM file")
    _add(server, "--server-name", "NAME", "the name that the server's certificate must contain")
    server.add_argument(
        "--timeout",
        type=duration,
        default=timedelta(seconds=5),
        metavar="TIME",
        help="how long to wait for a response; default 5s",
    )


def _add(group: Any, option: str, what: str, text: str, default: str | None = None) -> None:
    variable = ServerSettings.variable(option.removeprefix("--").replace("-", "_"))
    group.add_argument(
        option,
        default=os.environ.get(variable) or default,
        metavar=what,
        help=f"{text} [${variable}]",
    )


def settings(arguments: argparse.Namespace) -> ServerSettings:
    """Returns the settings that the options and the environment select.

    Raises:
        ConfigurationError: `TOKEN_AUTHORITY_TLS` is neither yes nor no.
    """
    return ServerSettings(
        target=arguments.target,
        token_file=arguments.token_file,
        tls=arguments.tls or ServerSettings.from_environment().tls,
        ca=arguments.ca,
        cert=arguments.cert,
        key=arguments.key,
        server_name=arguments.server_name,
    )


def client(arguments: argparse.Namespace) -> TokenAuthorityClient:
    """Creates the client that the options select.

    Raises:
        ConfigurationError: The options are unusable.
    """
    selected = settings(arguments)
    return TokenAuthorityClient(
        selected.target,
        timeout=arguments.timeout,
        tls=selected.tls_settings(),
        credential=selected.credential(),
    )


def ask(
    arguments: argparse.Namespace,
    question: Callable[[TokenAuthorityClient], AnswerT],
    show: Callable[[AnswerT], None],
) -> int:
    """Calls the server that the options select, prints the result, and returns the exit code."""

    def from_server() -> AnswerT:
        with client(arguments) as connected:
            return question(connected)

    return answer(arguments, from_server, show)


def answer(
    arguments: argparse.Namespace, find: Callable[[], AnswerT], show: Callable[[AnswerT], None]
) -> int:
    """Prints a result or an error, and returns the exit code."""
    try:
        found = find()
    except TokenAuthorityError as error:
        if arguments.json:
            print(error_as_json(error))
        else:
            complain(in_options(arguments.parser, str(error)))
        return exit_code(error)
    if arguments.json:
        print(as_json(found))
    else:
        show(found)
    return 0


def exit_code(error: TokenAuthorityError) -> int:
    """Returns the exit code of an error; `commands.EXIT_CODES` explains them."""
    return next((_EXIT_CODES[cls] for cls in type(error).__mro__ if cls in _EXIT_CODES), 1)
