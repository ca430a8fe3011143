"""The base of the `issue` commands, one per token family."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from token_authority_cli import server_options
from token_authority_cli.arguments import duration, moment
from token_authority_cli.issue.show import Answer, show
from token_authority_client import TokenAuthorityClient, TokenRequest


@dataclass(frozen=True, slots=True)
class Command:
    """`token-authority issue NAME`."""

    name: str
    """The command's name, e.g. `rtc`."""
    noun: str
    """What it issues, e.g. "an RTC token"."""
    epilog: str
    """Examples."""
    add_options: Callable[[argparse.ArgumentParser], None]
    """Adds the options of this family."""
    request: Callable[[argparse.Namespace], TokenRequest]
    """Returns the request of the parsed options."""

    def add_to(self, families: Any) -> None:
        """Adds the command to argparse's subparsers, whose type is private."""
        parser = self.add_request_to(families, f"Issue {self.noun}.")
        parser.add_argument(
            "--validate-only",
            action="store_true",
            help="print whether the token would be issued, and why, without issuing it",
        )
        server_options.add_options(parser)
        parser.set_defaults(run=self._run)

    def add_request_to(self, families: Any, description: str) -> argparse.ArgumentParser:
        """Adds the command with the options of the request, but none of a server."""
        parser: argparse.ArgumentParser = families.add_parser(
            self.name,
            help=self.noun,
            description=description,
            epilog=self.epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        parser.add_argument(
            "--project",
            default="",
            metavar="NAME",
            help="the project's name on the server; default: the caller's default project, else "
            "the only project it has grants for",
        )
        self.add_options(parser)
        parser.set_defaults(parser=parser)
        return parser

    def _run(self, arguments: argparse.Namespace) -> int:
        def question(client: TokenAuthorityClient) -> Answer:
            request = self.request(arguments)
            if arguments.validate_only:
                return client.validate_only.issue(request)
            return client.issue(request)

        return server_options.ask(arguments, question, show)


def add_expiration(parser: argparse.ArgumentParser, limits: str) -> Any:
    """Adds the options for the expiration; returns their group, to add more."""
    end = parser.add_argument_group("expiration").add_mutually_exclusive_group()
    end.add_argument(
        "--ttl", type=duration, metavar="TIME", help=f"the lifetime, e.g. 90s or 1h30m: {limits}"
    )
    end.add_argument(
        "--expire-time",
        type=moment,
        metavar="WHEN",
        help="or the expiration time, e.g. 2030-01-31T18:00:00Z",
    )
    return end
