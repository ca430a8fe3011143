"""`token-authority issue chat`."""

import argparse
from typing import Final

from token_authority_cli.issue.command import Command, add_expiration
from token_authority_client import TokenRequest, prepare

_EPILOG: Final = """\
examples:
  token-authority issue chat --user alice --ttl 1h
  token-authority issue chat --app --ttl 10m
"""


def _add_options(parser: argparse.ArgumentParser) -> None:
    subject = parser.add_argument_group("subject").add_mutually_exclusive_group(required=True)
    subject.add_argument(
        "--user",
        dest="user_id",
        metavar="ID",
        help="a user, by the Chat user ID: a-z, 0-9, _, - and .",
    )
    subject.add_argument(
        "--app", action="store_true", help="the app, with full access; for servers only"
    )
    add_expiration(parser, "1s to 24h; default 1h")


def _request(arguments: argparse.Namespace) -> TokenRequest:
    return prepare.issue_chat_token(
        user_id=arguments.user_id,
        app=arguments.app,
        ttl=arguments.ttl,
        expire_time=arguments.expire_time,
        project=arguments.project,
    )


COMMAND: Final = Command("chat", "a Chat token", _EPILOG, _add_options, _request)
