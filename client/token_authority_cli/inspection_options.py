"""The options that describe a token's use, on the command line and in the page's form."""

import argparse
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, NoReturn

from token_authority_cli.arguments import integer, moment
from token_authority_cli.inspection_report import Client
from token_authority_client import (
    Inspection,
    InvalidRequest,
    LocalInspector,
    TokenAuthorityClient,
)

PRODUCTS: Final = ("rtc", "rtm", "chat", "education", "whiteboard")
"""The products that `--product` names."""


def add_use(parser: argparse.ArgumentParser) -> None:
    """Adds the options to a command."""
    used = parser.add_argument_group("how it was used")
    used.add_argument("--app-id", metavar="ID", help="the App ID the SDK was initialised with")
    used.add_argument("--channel", metavar="NAME", help="the channel that was joined")
    user = used.add_mutually_exclusive_group()
    user.add_argument(
        "--uid", type=integer, metavar="N", help="the integer uid the client joined with"
    )
    user.add_argument("--user-account", metavar="NAME", help="or the string account or user ID")
    used.add_argument(
        "--room", dest="room_uuid", metavar="UUID", help="the whiteboard or classroom room"
    )
    used.add_argument(
        "--at",
        dest="at_time",
        type=moment,
        metavar="WHEN",
        help="when it was used; by default now",
    )
    used.add_argument(
        "--error",
        metavar="ERROR",
        help="what the SDK reported: a number (110), a name (ERR_INVALID_TOKEN) or a message text",
    )
    used.add_argument("--product", choices=PRODUCTS, help="the product it was used with")


class Form(argparse.ArgumentParser):
    """Parses the page's form as these options."""

    def __init__(self) -> None:
        super().__init__(add_help=False, allow_abbrev=False)
        add_use(self)

    def error(self, message: str) -> NoReturn:
        """Raises an error instead of exiting, as a command line would.

        Raises:
            InvalidRequest: Always.
        """
        raise InvalidRequest(message.removeprefix("argument --"))

    def read(self, form: Mapping[str, str]) -> argparse.Namespace:
        """Returns the arguments for a form.

        Args:
            form: An option without its dashes, or `token` -> its text.

        Raises:
            InvalidRequest: A text cannot be parsed, or two exclude each other.
        """
        options = [f"--{name}={text}" for name, text in form.items() if name != "token"]
        token = form.get("token", "")
        return self.parse_args(options, argparse.Namespace(token=token))


def inspect_token(
    arguments: argparse.Namespace, client: TokenAuthorityClient | LocalInspector, token: str
) -> Inspection:
    """Inspects a token with the use that the options describe.

    Raises:
        TokenAuthorityError: There is no answer.
    """
    return client.inspect_token(
        token,
        app_id=arguments.app_id,
        channel=arguments.channel,
        uid=arguments.uid,
        user_account=arguments.user_account,
        room_uuid=arguments.room_uuid,
        at_time=arguments.at_time,
        error=arguments.error,
        product=arguments.product,
    )


def client_of(arguments: argparse.Namespace) -> Client:
    """Returns the client's values that the options describe."""
    user = arguments.user_account if arguments.uid is None else str(arguments.uid)
    values = {
        "App ID": arguments.app_id,
        "channel": arguments.channel,
        "user": user,
        "room": arguments.room_uuid,
        "product": arguments.product,
    }
    return Client(values, arguments.at_time or datetime.now(UTC), arguments.at_time is None)
