"""`token-authority`: the commands and what they say of themselves."""

import argparse
import os
import sys
from importlib.metadata import version

from token_authority_cli import api_key, audit, explain, inspect, issue, server

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

    0: done. 1: refused, unreachable or failed; the reason is on standard error. 2: the command
    line or a configuration file is wrong.
    """
    parser = argparse.ArgumentParser(
        prog="token-authority",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--version", action="version", version=f"%(prog)s {version('agora-token-authority')}"
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    server.add_commands(commands)
    issue.add_commands(commands)
    inspect.add_commands(commands)
    audit.add_commands(commands)
    explain.add_commands(commands)
    api_key.add_commands(commands)
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


def _discard_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
