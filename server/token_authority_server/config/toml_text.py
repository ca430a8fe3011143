"""Parses TOML text, with errors that name the file and the line."""

import re
import tomllib
from typing import Any


def parse_toml(text: str, name: str) -> dict[str, Any]:
    """Parses a TOML document.

    Args:
        text: The document.
        name: Its name in messages.

    Raises:
        ValueError: It is not valid; the message has the name and the line.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problem, line = str(error), ""
        if found := re.fullmatch(r"(.*) \(at line (\d+), (column \d+)\)", problem):
            problem, line = f"{found[1]} ({found[3]})", f":{found[2]}"
        raise ValueError(f"{name}{line}: is not valid TOML: {problem}") from None
    except (ValueError, RecursionError):
        raise ValueError(
            f"{name}: a number has too many digits, or lists are nested too deeply"
        ) from None
