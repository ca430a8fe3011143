"""The commands, their summaries and exit codes, without the imports that they need."""

from collections.abc import Mapping
from typing import Final, NamedTuple

HELP: Final[Mapping[str, str]] = {
    "serve": "run a token authority",
    "check-config": "check a configuration file",
    "config": "write a configuration file to start from, or its JSON Schema",
    "issue": "issue a token",
    "inspect": "explain a token, and why Agora refuses it",
    "scan": "find tokens and your secrets in files",
    "whoami": "show your identity, grants and limits",
    "keys": "list signing keys, and how long each is needed",
    "doctor": "diagnose the connection to a server",
    "explain": "show whether a configuration allows a caller a token, and why",
    "audit": "verify or search an audit trail",
    "api-key": "create an API key for a caller",
    "deny": "edit the list of users, channels and rooms that get no new tokens",
}
MODULES: Final[Mapping[str, str]] = {
    "serve": "server",
    "check-config": "server",
    "config": "configuration",
    "issue": "issue",
    "inspect": "inspect",
    "scan": "scan",
    "whoami": "about",
    "keys": "about",
    "doctor": "doctor",
    "explain": "explain",
    "audit": "audit",
    "api-key": "api_key",
    "deny": "deny",
}
"""The module of each command, in this package; its `add_commands` adds it."""


class ExitCode(NamedTuple):
    """What an exit code means."""

    code: int
    """The exit code."""
    meaning: str
    """When a command exits with it."""
    errors: tuple[str, ...] = ()
    """The client's exceptions that lead to it, subclasses included; see `server_options`."""


EXIT_CODES: Final[tuple[ExitCode, ...]] = (
    ExitCode(0, "success"),
    ExitCode(
        2,
        "the command line, a file or the request is invalid",
        ("ConfigurationError", "InvalidRequest"),
    ),
    ExitCode(3, "the caller could not be authenticated", ("Unauthenticated",)),
    ExitCode(4, "the caller is not authorized", ("PermissionDenied",)),
    ExitCode(5, "the server is not configured for the request", ("FailedPrecondition",)),
    ExitCode(6, "a limit was exceeded: retry later, or request less", ("ResourceExhausted",)),
    ExitCode(
        7, "no server is reachable, or none responds in time", ("Unavailable", "DeadlineExceeded")
    ),
    ExitCode(
        1,
        "any other failure; `explain`: denied; `inspect`: not usable; `audit`: altered, or no such "
        "record; `keys --audit`: altered, or not safe to delete; `deny remove`: no such denial; "
        "`scan`: an unexpired token or a secret",
    ),
)
"""All exit codes; client/README.md has the same table."""


def exit_codes_text() -> str:
    """Returns the exit codes for --help."""
    lines = [f"  {exit_code.code}  {exit_code.meaning}" for exit_code in EXIT_CODES]
    return "\n".join(["exit codes:", *lines, ""])
