"""Names the command's options in errors about its request: `--any-user` for `any_user`.

The `dest` of an option is the argument of the Python client that it sets: `any_user`, `rtm.ttl`.
"""

import argparse
import re
from collections.abc import Mapping
from typing import Final

_PREFIX: Final = "invalid request: "
_NAME: Final = r"[a-z]+(?:[_.][a-z]+|\[\d+\])*"
# A word like `role` names an argument only where a sentence about it begins, or after these.
_ARGUMENT: Final = re.compile(
    rf"(?P<before>^{_PREFIX}|; |\bset |\bleave |\bwith |token's )?"
    rf"(?<![\w.'-])(?P<name>{_NAME})(?![\w'-])"
)


def options_of(parser: argparse.ArgumentParser) -> dict[str, str]:
    """Returns the options of a command by their `dest`."""
    return {
        action.dest: action.option_strings[-1]
        for action in parser._actions  # noqa: SLF001  # argparse lists its options nowhere else
        if action.option_strings
    }


def in_options(parser: argparse.ArgumentParser, message: str) -> str:
    """Returns an error's message about fields of a request, with the options of a command.

    Args:
        parser: The parser of the command.
        message: The message, which names the arguments of the Python client.
    """
    if not message.startswith(_PREFIX):
        return message
    options = options_of(parser)

    def replaced(match: re.Match[str]) -> str:
        before, name = match["before"] or "", match["name"]
        is_argument = before or not name.isalpha()
        return before + ((is_argument and _option_of(name, options)) or name)

    return _ARGUMENT.sub(replaced, message)


def _option_of(name: str, options: Mapping[str, str]) -> str | None:
    """Returns the option for an argument, for the list that has it, or the first of its members."""
    members = [option for dest, option in options.items() if dest.startswith(f"{name}.")]
    return options.get(name.partition("[")[0]) or next(iter(members), None)
