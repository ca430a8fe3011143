"""`token-authority issue …`: issues a token."""

from importlib import import_module
from typing import Any, Final

from token_authority.v1.batch_pb2 import IssueTokenRequest
from token_authority_cli.commands import HELP
from token_authority_cli.issue import channel_key
from token_authority_cli.issue.command import Command

COMMANDS: Final[tuple[Command, ...]] = tuple(
    import_module(f"{__name__}.{field.name}").COMMAND
    for field in IssueTokenRequest.DESCRIPTOR.oneofs_by_name["request"].fields
)
"""One for each token family of the contract, from the module of that name."""


def add_commands(commands: Any) -> None:
    """Adds `issue` with one command per family of tokens."""
    issue = commands.add_parser(
        "issue",
        help=HELP["issue"],
        description="Issue a token. The token is printed to standard output, everything else about "
        "it to standard error.",
        allow_abbrev=False,
    )
    families = issue.add_subparsers(metavar="KIND", required=True)
    for command in COMMANDS:
        command.add_to(families)
    channel_key.add_to(families)
