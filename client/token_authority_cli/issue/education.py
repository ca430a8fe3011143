"""`token-authority issue education`."""

import argparse
from typing import Final

from token_authority_cli.arguments import integer
from token_authority_cli.issue.command import Command, add_expiration
from token_authority_client import TokenRequest, prepare

_EPILOG: Final = """\
A token for a user in a room also logs in to RTM and Chat.

examples:
  token-authority issue education --user alice --room lesson-1 --role 1
  token-authority issue education --user alice
  token-authority issue education --app --ttl 10m
"""


def _add_options(parser: argparse.ArgumentParser) -> None:
    subject = parser.add_argument_group("subject")
    subject.add_argument("--user", dest="user_uuid", metavar="UUID", help="a user")
    subject.add_argument(
        "--room",
        dest="room_uuid",
        metavar="UUID",
        help="the user's room; requires --user and --role",
    )
    subject.add_argument(
        "--role",
        type=integer,
        metavar="N",
        help="the user's role in the room, 0 to 32767, as the classroom's client defines it",
    )
    subject.add_argument(
        "--app", action="store_true", help="or the app, with full access; for servers only"
    )
    add_expiration(parser, "1s to 24h; default 1h")


def _request(arguments: argparse.Namespace) -> TokenRequest:
    error = arguments.parser.error
    in_room = [arguments.room_uuid is not None, arguments.role is not None]
    if arguments.app and (arguments.user_uuid is not None or any(in_room)):
        error("--app cannot be combined with --user, --room or --role")
    if not arguments.app and arguments.user_uuid is None:
        error("--user or --app is required")
    if any(in_room) and not all(in_room):
        error(
            "--room and --role require each other: pass both, or neither for a user outside rooms"
        )
    return prepare.issue_education_token(
        user_uuid=arguments.user_uuid,
        room_uuid=arguments.room_uuid,
        role=arguments.role,
        app=arguments.app,
        ttl=arguments.ttl,
        expire_time=arguments.expire_time,
        project=arguments.project,
    )


COMMAND: Final = Command(
    "education", "a Flexible Classroom (education, aPaaS) token", _EPILOG, _add_options, _request
)
