"""`token-authority issue …`: issues a token."""

from typing import Any, Final

from token_authority_cli.commands import HELP
from token_authority_cli.issue import access_token, chat, education, rtc, rtm, whiteboard
from token_authority_cli.issue.command import Command

COMMANDS: Final[tuple[Command, ...]] = (
    whiteboard.COMMAND,
    rtc.COMMAND,
    rtm.COMMAND,
    chat.COMMAND,
    education.COMMAND,
    access_token.COMMAND,
)
"""One per family of tokens."""


def add_commands(commands: Any) -> None:
    """Adds `issue` with one command per family of tokens."""
    issue = commands.add_parser(
        "issue",
        help=HELP["issue"],
        description="Issue a token. The token is printed to standard output, everything else about "
        "it to standard error.",
        allow_abbrev=False,
    )
    kinds = issue.add_subparsers(metavar="KIND", required=True)
    for command in COMMANDS:
        command.add_to(kinds)
