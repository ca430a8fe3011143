"""`token-authority api-key new`: creates an API key, without a server."""

import argparse
import hashlib
import json
import secrets
import sys
from typing import Any, Final

from token_authority_cli.commands import HELP

# Identifies the key to people and secret scanners.
_PREFIX: Final = "tak_"
_BYTES: Final = 32


def add_commands(commands: Any) -> None:
    """Adds `api-key` with `new`."""
    parser = commands.add_parser(
        "api-key",
        help=HELP["api-key"],
        description="Create an API key for a caller.",
        allow_abbrev=False,
    )
    new = parser.add_subparsers(metavar="COMMAND", required=True).add_parser(
        "new",
        help="create an API key",
        description="Create an API key from 32 random bytes. The key is printed to standard "
        "output, once, for the caller. Its identity, which is not secret, is printed to standard "
        "error, for the server's configuration.",
        allow_abbrev=False,
    )
    new.add_argument("--json", action="store_true", help="print both as JSON")
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
