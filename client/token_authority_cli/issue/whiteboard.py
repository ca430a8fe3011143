"""`token-authority issue whiteboard`."""

import argparse
from typing import Final

from token_authority_cli.issue.command import Command, add_expiration
from token_authority_client import TokenRequest, prepare

_EPILOG: Final = """\
examples:
  token-authority issue whiteboard --room 4a50cb3b6a0c4b5e --role writer --ttl 1h
  token-authority issue whiteboard --sdk --role admin --ttl 10m
"""


def _add_options(parser: argparse.ArgumentParser) -> None:
    scope = parser.add_argument_group("scope").add_mutually_exclusive_group(required=True)
    scope.add_argument("--room", metavar="UUID", help="one room")
    scope.add_argument("--task", metavar="UUID", help="one file-conversion task")
    scope.add_argument("--sdk", action="store_true", help="all rooms and tasks; for servers only")
    parser.add_argument(
        "--role",
        required=True,
        choices=("admin", "writer", "reader"),
        help="the role: an admin may do everything, a writer draw, a reader watch",
    )
    end = add_expiration(parser, "1ms to 3650d; default 1h")
    end.add_argument(
        "--non-expiring",
        action="store_true",
        help="or no expiration: valid as long as the key pair that signed it",
    )


def _request(arguments: argparse.Namespace) -> TokenRequest:
    return prepare.issue_whiteboard_token(
        role=arguments.role,
        room=arguments.room,
        task=arguments.task,
        sdk=arguments.sdk,
        ttl=arguments.ttl,
        expire_time=arguments.expire_time,
        non_expiring=arguments.non_expiring,
        project=arguments.project,
    )


COMMAND: Final = Command(
    "whiteboard", "an Interactive Whiteboard token", _EPILOG, _add_options, _request
)
