"""`token-authority inspect`: explains a token, with or without a server's keys."""

import argparse
import os
import shutil
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from token_authority_cli.arguments import integer, moment, piped_text
from token_authority_cli.commands import HELP
from token_authority_cli.inspection_report import Client, report
from token_authority_cli.inspection_view import View
from token_authority_cli.server import needs_server
from token_authority_cli.server_options import add_options, answer, ask
from token_authority_client import (
    Inspection,
    InvalidRequest,
    LocalInspector,
    TokenAuthorityClient,
)

_EPILOG: Final = """\
examples:
  token-authority inspect 007eJxTYB… --channel lesson-1 --uid 7 --error 110
  pbpaste | token-authority inspect - --offline
"""
_PRODUCTS: Final = ("rtc", "rtm", "chat", "education", "whiteboard")
ResultT = TypeVar("ResultT")


def add_commands(commands: Any) -> None:
    """Adds `inspect`."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "inspect",
        help=HELP["inspect"],
        description="Explain a token: its content, its signer, and why Agora refuses it. The "
        "options that describe its use are compared with it. Exits with 1 if the token is not "
        "usable.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "token",
        metavar="TOKEN",
        help="the token or a text that contains it; -: read standard input",
    )
    _add_use(parser)
    parser.add_argument("--verbose", action="store_true", help="also show every value in the token")
    parser.add_argument(
        "--offline",
        action="store_true",
        help="inspect it locally, without a server and its keys",
    )
    add_options(parser)
    parser.set_defaults(run=_run)


def _add_use(parser: argparse.ArgumentParser) -> None:
    used = parser.add_argument_group("how it was used")
    used.add_argument("--app-id", metavar="ID", help="the App ID the SDK was initialised with")
    used.add_argument("--channel", metavar="NAME", help="the channel that was joined")
    user = used.add_mutually_exclusive_group()
    user.add_argument(
        "--uid", type=integer, metavar="N", help="the integer uid the client joined with"
    )
    user.add_argument("--user-account", metavar="NAME", help="or the string account or user ID")
    used.add_argument("--room", metavar="UUID", help="the whiteboard or classroom room")
    used.add_argument("--at", type=moment, metavar="WHEN", help="when it was used; by default now")
    used.add_argument(
        "--error",
        metavar="ERROR",
        help="what the SDK reported: a number (110), a name (ERR_INVALID_TOKEN) or a message text",
    )
    used.add_argument("--product", choices=_PRODUCTS, help="the product it was used with")


def _run(arguments: argparse.Namespace) -> int:
    inspect = _offline if arguments.offline else _online
    return inspect(arguments)


def _question(
    arguments: argparse.Namespace, client: TokenAuthorityClient | LocalInspector
) -> Inspection:
    return client.inspect_token(
        _token(arguments),
        app_id=arguments.app_id,
        channel=arguments.channel,
        uid=arguments.uid,
        user_account=arguments.user_account,
        room_uuid=arguments.room,
        at_time=arguments.at,
        error=arguments.error,
        product=arguments.product,
    )


def _online(arguments: argparse.Namespace) -> int:
    inspections: list[Inspection] = []

    def question(client: TokenAuthorityClient) -> Inspection:
        inspections.append(_question(arguments, client))
        return inspections[0]

    return _exit_code(ask(arguments, question, _shower(arguments)), inspections)


def _exit_code(code: int, inspections: list[Inspection]) -> int:
    """Returns 1 where there is an answer, and the token is not usable."""
    return code or int(not all(inspection.usable for inspection in inspections))


def _inspect_without_keys(request: bytes) -> bytes:
    """Answers in this process, without a key."""
    from token_authority_server.errors import Refusal  # noqa: PLC0415  # lazily, as in server
    from token_authority_server.process.explain import inspect_without_keys  # noqa: PLC0415

    try:
        return inspect_without_keys(request)
    except Refusal as refusal:
        raise InvalidRequest(refusal.message) from None


@needs_server
def _offline(arguments: argparse.Namespace) -> int:
    inspections: list[Inspection] = []

    def question() -> Inspection:
        inspections.append(_question(arguments, LocalInspector(_inspect_without_keys)))
        return inspections[0]

    return _exit_code(answer(arguments, question, _shower(arguments)), inspections)


def _token(arguments: argparse.Namespace) -> str:
    is_piped = arguments.token == "-"  # noqa: S105  # not a password
    return piped_text() if is_piped else str(arguments.token)


def _shower(arguments: argparse.Namespace) -> Callable[[Inspection], None]:
    """Returns the function that prints an inspection, wrapped and in colour on a terminal."""

    def show(inspection: Inspection) -> None:
        is_terminal = sys.stdout.isatty()
        width = shutil.get_terminal_size().columns if is_terminal else None
        # https://no-color.org
        in_colour = is_terminal and not os.environ.get("NO_COLOR")
        view = View(width, in_colour and os.environ.get("TERM") != "dumb")
        shown = report(inspection, _client(arguments))
        for line in view.lines(shown, verbose=arguments.verbose):
            print(line)

    return show


def _client(arguments: argparse.Namespace) -> Client:
    user = arguments.user_account if arguments.uid is None else str(arguments.uid)
    values = {
        "App ID": arguments.app_id,
        "channel": arguments.channel,
        "user": user,
        "room": arguments.room,
        "product": arguments.product,
    }
    return Client(values, arguments.at or datetime.now(UTC), arguments.at is None)
