"""`token-authority config`: a configuration file to start from, and its JSON Schema. Offline."""

import argparse
import sys
from importlib import resources
from pathlib import Path
from typing import Any, Final

from token_authority_cli.commands import HELP
from token_authority_cli.output import as_json, complain
from token_authority_cli.private_file import create_private_file
from token_authority_cli.server import needs_server

_NAME: Final = "token-authority.toml"
_SCHEMA_EPILOG: Final = """\
In editors with taplo ("Even Better TOML"), this first line enables completion and validation:
  token-authority config schema > token-authority.schema.json
  #:schema ./token-authority.schema.json
"""


def add_commands(commands: Any) -> None:
    """Adds `config` with `init` and `schema`."""
    parser = commands.add_parser(
        "config",
        help=HELP["config"],
        description="Write a configuration file to start from, or print the JSON Schema of such "
        "files. To check a file, use check-config.",
        allow_abbrev=False,
    )
    inner = parser.add_subparsers(metavar="COMMAND", required=True)
    init = inner.add_parser(
        "init",
        help="write a configuration file with every option, its default and an explanation",
        description="Write a configuration file with every option, its default and an explanation. "
        "Its App ID and access key are placeholders, and check-config warns about them.",
        allow_abbrev=False,
    )
    init.add_argument(
        "--output",
        default=_NAME,
        metavar="FILE",
        help=f"the new file, with mode 0600, or - for standard output; default {_NAME}",
    )
    init.add_argument("--force", action="store_true", help="replace a file that exists")
    init.set_defaults(run=_init)
    schema = inner.add_parser(
        "schema",
        help="print the JSON Schema of configuration files",
        description="Print the JSON Schema (draft 4) of configuration files. check-config checks "
        "more: rules about several keys, and the files that a configuration names.",
        epilog=_SCHEMA_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    schema.set_defaults(run=needs_server(_schema))


def _init(arguments: argparse.Namespace) -> int:
    sample = resources.files("token_authority_server").joinpath(_NAME).read_bytes()
    if arguments.output == "-":
        sys.stdout.buffer.write(sample)
        return 0
    try:
        _write(Path(arguments.output), sample, replace=arguments.force)
    except FileExistsError as error:
        complain(
            f"{error.filename}: already exists: choose another --output, or replace it with --force"
        )
        return 2
    except OSError as error:
        complain(f"{arguments.output}: cannot be created: {error.strerror}")
        return 1
    return 0


def _write(path: Path, data: bytes, *, replace: bool) -> None:
    """Writes a file that only its owner may read.

    Args:
        path: The file.
        data: The content.
        replace: Whether to replace an existing file, at once, by another one in its folder.

    Raises:
        FileExistsError: The file, or the other one, exists.
    """
    if not replace:
        create_private_file(path, data)
        return
    new = path.with_name(f"{path.name}.new")
    create_private_file(new, data)
    try:
        new.replace(path)
    except OSError:
        new.unlink(missing_ok=True)
        raise


def _schema(arguments: argparse.Namespace) -> int:  # noqa: ARG001  # every command takes them
    from token_authority_server.config.json_schema import json_schema  # noqa: PLC0415  # lazily

    print(as_json(json_schema()))
    return 0
