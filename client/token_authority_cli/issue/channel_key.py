"""`token-authority issue channel-key`: the key and salt for a meeting's media encryption."""

import argparse
from typing import Any, Final

from token_authority_cli import server_options
from token_authority_cli.output import print_lines
from token_authority_client import ChannelKey, TokenAuthorityClient

_EPILOG: Final = """\
example:
  token-authority issue channel-key --channel lesson-1 --context 2026-11-27T09

Pass the key to the SDK unchanged, as encryptionKey; the salt as 32 bytes, as encryptionKdfSalt. All
members of the meeting need the same mode, AES_128_GCM2 or AES_256_GCM2.
"""


def add_to(families: Any) -> None:
    """Adds the command to argparse's subparsers, whose type is private."""
    parser = add_request_to(
        families,
        "Derive the key and salt with which the members of a meeting encrypt its media. The key\n"
        "is printed to standard output, everything else to standard error. Equal arguments give\n"
        "equal keys.",
    )
    server_options.add_options(parser)
    parser.set_defaults(run=_run)


def add_request_to(families: Any, description: str) -> argparse.ArgumentParser:
    """Adds the command with the options of the request, but none of a server."""
    parser: argparse.ArgumentParser = families.add_parser(
        "channel-key",
        help="a key for media encryption",
        description=description,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--project", default="", metavar="NAME", help="the project's name")
    parser.add_argument("--channel", required=True, metavar="NAME", help="the channel")
    parser.add_argument(
        "--context",
        dest="key_context",
        required=True,
        metavar="ID",
        help="your id of the meeting, 1 to 64 characters; a new meeting needs a new one",
    )
    parser.add_argument(
        "--key-id", default="", metavar="ID", help="the secret of an earlier key of the meeting"
    )
    parser.set_defaults(parser=parser)
    return parser


def _run(arguments: argparse.Namespace) -> int:
    def question(client: TokenAuthorityClient) -> ChannelKey:
        return client.issue_channel_key(
            project=arguments.project,
            channel=arguments.channel,
            key_context=arguments.key_context,
            key_id=arguments.key_id,
        )

    return server_options.ask(arguments, question, _show)


def _show(key: ChannelKey) -> None:
    print(key.encryption_key, flush=True)
    print_lines(
        [("salt", key.salt_base64), ("key", key.key_id), ("print", key.fingerprint)],
    )
