"""`token-authority api-key new`: generates an API key without asking a server."""

import argparse
import hashlib
import json
import secrets
import sys
from pathlib import Path
from typing import Any, Final

from token_authority_cli.commands import HELP
from token_authority_cli.output import complain
from token_authority_cli.private_file import create_private_file

# Lets people and secret scanners recognize a key.
_PREFIX: Final = "tak_"
_BYTES: Final = 32


def add_commands(commands: Any) -> None:
    """Adds `api-key` with `new`."""
    parser = commands.add_parser(
        "api-key",
        help=HELP["api-key"],
        description="Generate an API key for a caller.",
        allow_abbrev=False,
    )
    new = parser.add_subparsers(metavar="COMMAND", required=True).add_parser(
        "new",
        help="generate an API key",
        description="Generate an API key from 32 random bytes. The key is for the caller, and is "
        "shown only once: on standard output, or in a file. Its identity is for the server's "
        "configuration, where it is no secret: it is printed to standard error.",
        allow_abbrev=False,
    )
    new.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="write the key to a new file with mode 0600 instead of standard output",
    )
    new.add_argument("--json", action="store_true", help="print both as JSON")
    new.set_defaults(run=_new)


def _new(arguments: argparse.Namespace) -> int:
    key = _PREFIX + secrets.token_urlsafe(_BYTES)
    identity = f"api-key:sha256:{hashlib.sha256(key.encode()).hexdigest()}"
    if arguments.output:
        try:
            create_private_file(arguments.output, f"{key}\n".encode())
        except OSError as error:
            complain(f"{arguments.output}: cannot be created: {error.strerror}")
            return 1
    if arguments.json:
        shown = {} if arguments.output else {"api_key": key}
        print(json.dumps({**shown, "identity": identity}, indent=2))
        return 0
    if not arguments.output:
        print(key)
    print(f'identities = ["{identity}"]', file=sys.stderr)
    return 0
