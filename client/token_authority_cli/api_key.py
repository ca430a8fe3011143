"""`token-authority api-key new`: makes an API key. Asks no server."""

import argparse
import hashlib
import json
import secrets
import sys
from typing import Any, Final

from token_authority_cli.commands import HELP

# Tells people and secret scanners what they have found.
_PREFIX: Final = "tak_"
_BYTES: Final = 32


def add_commands(commands: Any) -> None:
    """Adds `api-key` with `new`."""
    parser = commands.add_parser(
        "api-key",
        help=HELP["api-key"],
        description="Make an API key for a caller.",
        allow_abbrev=False,
    )
    new = parser.add_subparsers(metavar="COMMAND", required=True).add_parser(
        "new",
        help="make an API key",
        description="Make an API key from 32 random bytes. The key goes to standard output, for "
        "the caller, and is shown this once; the identity that knows it again goes to standard "
        "error, for the server's configuration, where it is no secret.",
        allow_abbrev=False,
    )
    new.add_argument("--json", action="store_true", help="answer with both, as JSON")
    new.set_defaults(run=_new)


def _new(arguments: argparse.Namespace) -> int:
    key = _PREFIX + secrets.token_urlsafe(_BYTES)
    identity = f"api-key:sha256:{hashlib.sha256(key.encode()).hexdigest()}"
    if arguments.json:
        print(json.dumps({"api_key": key, "identity": identity}, indent=2))
        return 0
    print(key)
    print(f'identities = ["{identity}"]', file=sys.stderr)
    return 0
