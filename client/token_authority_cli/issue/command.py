"""What the commands for the kinds of token have in common."""

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
    noun: str
    """What it issues, e.g. "an RTC token"."""
    epilog: str
    """Examples."""
    add_options: Callable[[argparse.ArgumentParser], None]
    """Adds the options of this kind."""
    request: Callable[[argparse.Namespace], TokenRequest]
    """Reads them."""

    def add_to(self, kinds: Any) -> None:
        """Adds the command; argparse keeps the type of its subparsers to itself."""
        parser = self.add_request_to(kinds, f"Ask a server for {self.noun}.")
        parser.add_argument(
            "--validate-only",
            action="store_true",
            help="only say whether it would be issued, and why",
        )
        server_options.add_options(parser)
        parser.set_defaults(run=self._run)

    def add_request_to(self, kinds: Any, description: str) -> argparse.ArgumentParser:
        """Adds the command with what to ask for, but not whom; `request` reads it."""
        parser: argparse.ArgumentParser = kinds.add_parser(
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
            help="the project, as the server's configuration names it; by default the caller's "
            "default project, or else the only one it has grants for",
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
    """Adds the options for the end of a token; returns their group, for more."""
    end = parser.add_argument_group("when it ends").add_mutually_exclusive_group()
    end.add_argument(
        "--ttl", type=duration, metavar="TIME", help=f"after this long, like 90s or 1h30m: {limits}"
    )
    end.add_argument(
        "--expire-time",
        type=moment,
        metavar="WHEN",
        help="or at this time, like 2030-01-31T18:00:00Z",
    )
    return end
