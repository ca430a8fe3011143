"""`token-authority`: the command line."""

import sys

if sys.argv[1:2] == ["serve"]:
    # Before the imports, which take time: SIGTERM ends a server from its first millisecond on.
    from token_authority_server.process.signals import end_while_starting

    end_while_starting()

import argparse
import importlib
import os
from collections.abc import Sequence
from typing import Any

from token_authority_cli.commands import HELP, MODULES, exit_codes_text
from token_authority_server.process.standard_streams import open_standard_streams

_DESCRIPTION = """\
Issues Agora tokens over gRPC: one process holds the secrets and signs for its callers.
"""
_EPILOG = """\
Start a development server in one terminal:
  token-authority serve --dev
and issue a token in another:
  token-authority issue rtc --channel lesson-1 --uid 7 --role publisher
"""


class _ShowVersion(argparse.Action):
    """Prints the version and exits."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from importlib.metadata import version  # noqa: PLC0415  # a third of the time of --help

        print(f"{parser.prog} {version('agora-token-authority')}")
        parser.exit()


def main() -> None:
    """Runs a command and exits with its code, one of `commands.EXIT_CODES`.

    Errors are printed to standard error.
    """
    open_standard_streams()
    # As standard error does: with another encoding than UTF-8, some characters are escaped.
    stdout: Any = sys.stdout
    stdout.reconfigure(errors="backslashreplace")
    parser = argparse.ArgumentParser(
        prog="token-authority",
        description=_DESCRIPTION,
        epilog=f"{_EPILOG}\n{exit_codes_text()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--version", action=_ShowVersion, nargs=0, help="show program's version number and exit"
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    try:
        try:
            # Within the try: most of the time before an answer goes into these imports.
            _add_commands(commands, sys.argv[1:])
            arguments = parser.parse_args()
            code: int = arguments.run(arguments)
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:
        # The reader is gone (`| head`): print nothing more, not even at exit.
        _discard_output()
        code = 1
    except OSError as error:
        # A full disk, for example.
        _discard_output()
        print(f"token-authority: cannot write the output: {error.strerror}", file=sys.stderr)
        code = 1
    sys.exit(code)


def _add_commands(commands: Any, arguments: Sequence[str]) -> None:
    """Adds every command, and imports only the modules that the named command needs."""
    named = next((MODULES[word] for word in arguments if word in MODULES), None)
    added: set[str] = set()
    for name, module in MODULES.items():
        if module != named:
            commands.add_parser(name, help=HELP[name])
        elif module not in added:
            importlib.import_module(f"token_authority_cli.{module}").add_commands(commands)
            added.add(module)


def _discard_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
