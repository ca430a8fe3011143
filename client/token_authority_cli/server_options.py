"""What the commands that ask a server have in common."""

import argparse
import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final, TypeVar

from token_authority_cli.arguments import duration
from token_authority_cli.output import as_json, complain, error_as_json
from token_authority_client import (
    DEFAULT_TARGET,
    ApiKeyFile,
    ConfigurationError,
    DeadlineExceeded,
    FailedPrecondition,
    InvalidRequest,
    PermissionDenied,
    ResourceExhausted,
    Tls,
    TokenAuthorityClient,
    TokenAuthorityError,
    Unauthenticated,
    Unavailable,
)

AnswerT = TypeVar("AnswerT")

USAGE: Final = 2
_TLS_VARIABLE: Final = "TOKEN_AUTHORITY_TLS"
_YES: Final = frozenset({"1", "true", "yes"})
_NO: Final = frozenset({"0", "false", "no", ""})
_EXIT_CODES: Final[tuple[tuple[type[TokenAuthorityError], int], ...]] = (
    (ConfigurationError, USAGE),
    (InvalidRequest, USAGE),
    (Unauthenticated, 3),
    (PermissionDenied, 4),
    (FailedPrecondition, 5),
    (ResourceExhausted, 6),
    (Unavailable, 7),
    (DeadlineExceeded, 7),
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options that say which server to ask, and how to print its answer."""
    parser.add_argument("--json", action="store_true", help="answer with everything, as JSON")
    server = parser.add_argument_group("which server")
    _add(
        server,
        "--target",
        "ADDRESS",
        "HOST:PORT, IP addresses with ports and commas, dns:///NAME:PORT or unix:/PATH; by default "
        f"{DEFAULT_TARGET}",
        default=DEFAULT_TARGET,
    )
    _add(server, "--token-file", "FILE", "a file with your API key or JWT")
    server.add_argument(
        "--tls",
        action="store_true",
        help=f"speak TLS, with a server whose certificate is of a public CA [${_TLS_VARIABLE}=1]",
    )
    _add(server, "--ca", "FILE", "speak TLS, and trust the CAs of this PEM file instead")
    _add(server, "--cert", "FILE", "show this client certificate, a PEM file")
    _add(server, "--key", "FILE", "its private key")
    _add(server, "--server-name", "NAME", "the name that the server's certificate has")
    server.add_argument(
        "--timeout",
        type=duration,
        default=timedelta(seconds=5),
        metavar="TIME",
        help="how long to wait for an answer; by default 5s",
    )


def _add(group: Any, option: str, what: str, text: str, default: str | None = None) -> None:
    variable = f"TOKEN_AUTHORITY_{option.removeprefix('--').replace('-', '_').upper()}"
    group.add_argument(
        option,
        default=os.environ.get(variable) or default,
        metavar=what,
        help=f"{text} [${variable}]",
    )


def client(arguments: argparse.Namespace) -> TokenAuthorityClient:
    """Makes the client that the options ask for.

    Raises:
        ConfigurationError: They cannot be used.
    """
    try:
        return TokenAuthorityClient(
            arguments.target,
            timeout=arguments.timeout,
            tls=tls(arguments),
            credential=credential(arguments),
        )
    except ValueError as error:
        if isinstance(error, ConfigurationError):
            raise
        raise ConfigurationError(str(error)) from None


def tls(arguments: argparse.Namespace) -> Tls | None:
    """Returns the TLS settings of the options; None: plaintext.

    Raises:
        ValueError: One of --cert and --key is there without the other, or the variable for --tls
            says neither yes nor no.
    """
    is_wanted = arguments.tls or _tls_by_environment()
    settings = (arguments.ca, arguments.cert, arguments.key, arguments.server_name)
    if not is_wanted and not any(settings):
        return None
    return Tls(
        ca=arguments.ca,
        certificate=arguments.cert,
        private_key=arguments.key,
        server_name=arguments.server_name,
    )


def _tls_by_environment() -> bool:
    """Whether the variable asks for TLS. What it may mean is not guessed: either is a surprise."""
    value = os.environ.get(_TLS_VARIABLE, "")
    if value.lower() not in _YES | _NO:
        raise ValueError(
            f"{_TLS_VARIABLE} is {value!r}: write 1, true or yes for TLS, "
            "0, false, no or nothing for none"
        )
    return value.lower() in _YES


def credential(arguments: argparse.Namespace) -> ApiKeyFile | None:
    """Returns the credential file of the options: an API key or a JWT, which it does not matter."""
    return None if arguments.token_file is None else ApiKeyFile(arguments.token_file)


def ask(
    arguments: argparse.Namespace,
    question: Callable[[TokenAuthorityClient], AnswerT],
    show: Callable[[AnswerT], None],
) -> int:
    """Asks the server that the options name, prints its answer, and returns the exit code."""

    def from_server() -> AnswerT:
        with client(arguments) as asked:
            return question(asked)

    return answer(arguments, from_server, show)


def answer(
    arguments: argparse.Namespace, find: Callable[[], AnswerT], show: Callable[[AnswerT], None]
) -> int:
    """Prints what is found, or why it is not, and returns the exit code."""
    try:
        found = find()
    except TokenAuthorityError as error:
        if arguments.json:
            print(error_as_json(error))
        else:
            complain(str(error))
        return exit_code(error)
    if arguments.json:
        print(as_json(found))
    else:
        show(found)
    return 0


def exit_code(error: TokenAuthorityError) -> int:
    """Returns the exit code of a failure; `commands.EXIT_CODES` explains them."""
    return next((code for kind, code in _EXIT_CODES if isinstance(error, kind)), 1)
