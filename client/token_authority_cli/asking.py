"""What the commands that ask a server have in common."""

import argparse
import os
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from token_authority_cli.arguments import duration
from token_authority_cli.output import as_json, complain
from token_authority_client import DEFAULT_TARGET, TokenAuthorityClient, TokenAuthorityError

AnswerT = TypeVar("AnswerT")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options that say which server to ask, and how to print its answer."""
    parser.add_argument("--json", action="store_true", help="answer with everything, as JSON")
    parser.add_argument(
        "--target",
        default=os.environ.get("TOKEN_AUTHORITY_TARGET") or DEFAULT_TARGET,
        metavar="ADDRESS",
        help="where the server is, HOST:PORT or unix:/PATH; by default $TOKEN_AUTHORITY_TARGET, "
        f"else {DEFAULT_TARGET}",
    )
    parser.add_argument(
        "--timeout",
        type=duration,
        default=timedelta(seconds=5),
        metavar="TIME",
        help="how long to wait for an answer; by default 5s",
    )


def ask(
    arguments: argparse.Namespace,
    question: Callable[[TokenAuthorityClient], AnswerT],
    show: Callable[[AnswerT], None],
) -> int:
    """Asks the server that the options name, prints its answer, and returns the exit code."""

    def from_server() -> AnswerT:
        with TokenAuthorityClient(arguments.target, timeout=arguments.timeout) as client:
            return question(client)

    return answer(arguments, from_server, show)


def answer(
    arguments: argparse.Namespace, find: Callable[[], AnswerT], show: Callable[[AnswerT], None]
) -> int:
    """Prints what is found, or why it is not, and returns the exit code."""
    try:
        found = find()
    except TokenAuthorityError as error:
        complain(str(error))
        return 1
    if arguments.json:
        print(as_json(found))
    else:
        show(found)
    return 0
