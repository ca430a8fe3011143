"""The commands, and what each is for in a few words: known without importing what they need."""

from collections.abc import Mapping
from typing import Final

HELP: Final[Mapping[str, str]] = {
    "serve": "run a token authority",
    "check-config": "check a configuration file",
    "issue": "ask a server for a token",
    "inspect": "explain a token, and why it is refused",
    "whoami": "say who the server takes you for, and what you may ask for",
    "keys": "list signing keys, and when each can be removed",
    "doctor": "find out what is wrong between here and the server",
    "explain": "say whether a caller would get a token, and why",
    "audit": "check an audit trail, or search it",
    "api-key": "make an API key for a caller",
}
MODULES: Final[Mapping[str, str]] = {
    "serve": "server",
    "check-config": "server",
    "issue": "issue",
    "inspect": "inspect",
    "whoami": "about",
    "keys": "about",
    "doctor": "doctor",
    "explain": "explain",
    "audit": "audit",
    "api-key": "api_key",
}
"""The module of each command, in this package; its `add_commands` adds it."""
EXIT_CODES: Final = """\
exit codes:
  0  done
  2  the command line, a file or the request is wrong
  3  the server does not know who asks
  4  the caller may not have this
  5  the server is not set up for this
  6  a limit was reached: ask again later, or for less
  7  no server answers, or not in time
  1  anything else; `explain`: refused; `inspect`: not usable; `audit`: altered, or no such record
"""
