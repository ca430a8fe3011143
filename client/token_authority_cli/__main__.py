"""`token-authority`: the commands and what they say of themselves."""

import sys

if sys.argv[1:2] == ["serve"]:
    # Before the imports, which take time: SIGTERM ends a server from its first millisecond on.
    from token_authority_server.process.signals import end_while_starting

    end_while_starting()

import argparse
import importlib
import os
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from token_authority_cli.commands import EXIT_CODES, HELP, MODULES

_DESCRIPTION = """\
Issues Agora tokens over gRPC: one process holds the secrets and signs, everyone else asks.
"""
_EPILOG = """\
Begin with a server of your own, in one terminal:
  token-authority serve --dev
and ask it, in another:
  token-authority issue rtc --channel lesson-1 --uid 7 --role publisher
"""


def main() -> None:
    """Runs the command that the arguments name, and exits with its code.

    `commands.EXIT_CODES` explains them; what went wrong is on standard error.
    """
    parser = argparse.ArgumentParser(
        prog="token-authority",
        description=_DESCRIPTION,
        epilog=f"{_EPILOG}\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--version", action="version", version=f"%(prog)s {version('agora-token-authority')}"
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_commands(commands, sys.argv[1:])
    try:
        try:
            arguments = parser.parse_args()
            code: int = arguments.run(arguments)
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:
        # The reader went away (`| head`): say nothing more, at exit either.
        _discard_output()
        code = 1
    except OSError as error:
        # A full disk behind `> file`, say.
        _discard_output()
        print(f"token-authority: cannot write the answer: {error.strerror}", file=sys.stderr)
        code = 1
    sys.exit(code)


def _add_commands(commands: Any, arguments: Sequence[str]) -> None:
    """Adds every command, but imports only what the one that was named needs."""
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
