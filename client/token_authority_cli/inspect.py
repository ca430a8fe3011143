"""`token-authority inspect`: explains a token, with or without a server's keys."""

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final, TypeVar

from token_authority_cli.arguments import integer, piped_text
from token_authority_cli.commands import HELP
from token_authority_cli.inspection_options import Form, add_use, client_of, inspect_token
from token_authority_cli.inspection_report import Report, report
from token_authority_cli.inspection_view import View
from token_authority_cli.option_names import options_of
from token_authority_cli.output import complain
from token_authority_cli.server import needs_server
from token_authority_cli.server_options import USAGE, add_options, answer, ask, client, exit_code
from token_authority_client import (
    Inspection,
    InvalidRequest,
    LocalInspector,
    TokenAuthorityClient,
    TokenAuthorityError,
)

_EPILOG: Final = """\
examples:
  token-authority inspect 007eJxTYB… --channel lesson-1 --uid 7 --error 110
  pbpaste | token-authority inspect - --offline
  token-authority inspect --web
"""
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
        nargs="?",
        metavar="TOKEN",
        help="the token or a text that contains it; -: read standard input",
    )
    add_use(parser)
    parser.add_argument("--verbose", action="store_true", help="also show every value in the token")
    parser.add_argument(
        "--offline",
        action="store_true",
        help="inspect it locally, without a server and its keys",
    )
    parser.add_argument(
        "--web",
        action="store_true",
        help="serve a page for pasting tokens, on 127.0.0.1 only, until Ctrl-C",
    )
    parser.add_argument(
        "--port", type=_port, metavar="PORT", help="the port of --web; by default any free one"
    )
    add_options(parser)
    parser.set_defaults(run=_run, parser=parser)


def _port(text: str) -> int:
    """Parses a port."""
    port = integer(text)
    if not 1 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r}: write a port from 1 to 65535")
    return port


def _run(arguments: argparse.Namespace) -> int:
    _check_options(arguments)
    inspect = _offline if arguments.offline else _online
    return inspect(arguments)


def _check_options(arguments: argparse.Namespace) -> None:
    """Exits with 2 if options contradict each other."""
    if not arguments.web:
        if arguments.token is None:
            arguments.parser.error("TOKEN is missing: give a token, or - or --web")
        if arguments.port is not None:
            arguments.parser.error("--port requires --web")
        return
    options = options_of(arguments.parser)
    for name in ("token", "verbose", "json", *vars(Form().read({}))):
        given = getattr(arguments, name)
        if given is not None and given is not False:
            arguments.parser.error(
                f"--web cannot be combined with {options.get(name, name.upper())}: "
                "the page has its own form, and shows everything"
            )


def _serve_page(
    arguments: argparse.Namespace, inspector: TokenAuthorityClient | LocalInspector, notice: str
) -> int:
    """Serves the page until Ctrl-C."""
    from token_authority_cli.inspect_page import PageServer  # noqa: PLC0415  # imports http
    from token_authority_cli.loopback_server import HOST  # noqa: PLC0415  # as above

    def explain(form: Mapping[str, str]) -> Report:
        use = Form().read(form)
        return report(inspect_token(use, inspector, use.token), client_of(use))

    try:
        server = PageServer(explain, notice, arguments.port or 0)
    except OSError as error:
        complain(f"cannot listen on {HOST}:{arguments.port}: {error.strerror}: omit --port")
        return USAGE
    with server, suppress(KeyboardInterrupt):
        # Not opened: other users of the machine can read the arguments of a browser.
        print(
            f"Inspect tokens at {server.url}\n{notice}\n"
            "Keep the address to yourself: it works with your credential. Stop it with Ctrl-C.",
            flush=True,
        )
        server.serve_forever()
    return 0


def _online(arguments: argparse.Namespace) -> int:
    if arguments.web:
        notice = f"Each token is sent to {arguments.target} and verified with its keys."
        try:
            with client(arguments) as inspector:
                return _serve_page(arguments, inspector, notice)
        except TokenAuthorityError as error:
            complain(str(error))
            return exit_code(error)
    inspections: list[Inspection] = []

    def question(client: TokenAuthorityClient) -> Inspection:
        inspections.append(inspect_token(arguments, client, _token(arguments)))
        return inspections[0]

    return _exit_code(ask(arguments, question, _shower(arguments)), inspections)


def _exit_code(code: int, inspections: list[Inspection]) -> int:
    """Returns 1 if there is an answer, and the token is not usable."""
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
    inspector = LocalInspector(_inspect_without_keys)
    if arguments.web:
        notice = "Tokens are inspected on this machine, without keys."
        return _serve_page(arguments, inspector, notice)
    inspections: list[Inspection] = []

    def question() -> Inspection:
        inspections.append(inspect_token(arguments, inspector, _token(arguments)))
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
        shown = report(inspection, client_of(arguments))
        for line in view.lines(shown, verbose=arguments.verbose):
            print(line)

    return show
