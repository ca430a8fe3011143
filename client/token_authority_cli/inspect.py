"""`token-authority inspect`: explains a token, with a server's keys or without."""

import argparse
import os
import sys
from typing import Any, Final

from token_authority_cli.arguments import integer, moment
from token_authority_cli.commands import HELP
from token_authority_cli.output import at
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
_RED: Final = "31"
_YELLOW: Final = "33"
_GREEN: Final = "32"
_BOLD: Final = "1"

_COLOURS: Final = {"error": _RED, "warning": _YELLOW}


def add_commands(commands: Any) -> None:
    """Adds `inspect`."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "inspect",
        help=HELP["inspect"],
        description="Say what is in a token, who signed it, and why Agora refuses it. Say what it "
        "was used for, and that is compared with it.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("token", metavar="TOKEN", help="the token, as it was found; -: read it")
    used = parser.add_argument_group("what it was used for")
    used.add_argument("--app-id", metavar="ID", help="the App ID the SDK was initialised with")
    used.add_argument("--channel", metavar="NAME", help="the channel that was joined")
    user = used.add_mutually_exclusive_group()
    user.add_argument("--uid", type=integer, metavar="N", help="the integer uid of who joined")
    user.add_argument("--user-account", metavar="NAME", help="or the string account or user")
    used.add_argument("--room", metavar="UUID", help="the whiteboard or classroom room")
    used.add_argument("--at", type=moment, metavar="WHEN", help="when; by default now")
    used.add_argument("--error", type=integer, metavar="CODE", help="the code the SDK gave")
    parser.add_argument(
        "--offline",
        action="store_true",
        help="ask no server: say what can be said without its keys",
    )
    add_options(parser)
    parser.set_defaults(run=_run)


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
        error_code=arguments.error,
    )


def _online(arguments: argparse.Namespace) -> int:
    return ask(arguments, lambda client: _question(arguments, client), _show)


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
    return answer(arguments, lambda: _question(arguments, inspector), _show)


def _token(arguments: argparse.Namespace) -> str:
    is_piped = arguments.token == "-"  # noqa: S105  # not a password
    return sys.stdin.read() if is_piped else str(arguments.token)


def _show(inspection: Inspection) -> None:
    """Prints an inspection for people, in colour on a terminal."""
    unread = f"format {inspection.format}, cannot be read" if inspection.format else "not a token"
    kind = inspection.kind or unread
    print(f"{_painted(kind, _BOLD)}  {inspection.time_summary}".rstrip())
    signature = inspection.signature
    who = f" by {signature.key_id} of {signature.project}" if signature.key_id else ""
    state = f" ({signature.key_state})" if signature.key_id else ""
    colour = _GREEN if signature.verdict == "valid" else _YELLOW
    print(f"signature: {_painted(signature.verdict, colour)}{who}{state}")
    if inspection.expire_time is not None:
        print(f"{'expired' if inspection.expired else 'expires'}: {at(inspection.expire_time)}")
    for field in inspection.fields:
        meaning = f"  ({field.meaning})" if field.meaning else ""
        print(_visible(f"  {field.path} = {field.value}{meaning}"))
    if inspection.omitted_field_count:
        print(f"  … and {inspection.omitted_field_count} more values")
    for finding in inspection.findings:
        colour = _COLOURS.get(finding.severity, _BOLD)
        print(f"{_painted(finding.severity, colour)} {finding.reason}: {_visible(finding.problem)}")
        print(f"  {finding.advice}")
    if not inspection.findings:
        print("nothing wrong was found")


def _visible(text: str) -> str:
    """Escapes what could move the cursor, break the line or turn the text around.

    Whoever made the token chose its texts.
    """
    return "".join([char if char.isprintable() else repr(char)[1:-1] for char in text])


def _painted(text: str, colour: str) -> str:
    # https://no-color.org
    in_colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return f"\033[{colour}m{text}\033[0m" if in_colour else text
