"""Formats output: JSON for programs, lines for people."""

import dataclasses
import json
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from token_authority_client import TokenAuthorityError


def as_json(answer: Any) -> str:
    """Returns a value of the client, or a dictionary of lists of them, as JSON."""
    return json.dumps(answer, default=_plain, indent=2)


def error_as_json(error: "TokenAuthorityError") -> str:
    """Returns an error as JSON."""
    return as_json(
        {
            "error": {
                "code": error.code,
                "reason": error.reason,
                "message": error.message,
                "advice": error.advice,
                "metadata": error.metadata,
                "violations": error.violations,
                "retry_after": error.retry_after,
            }
        }
    )


def _plain(value: Any) -> Any:
    """Converts values without a JSON type: times as RFC 3339, durations as protobuf does."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, timedelta):
        return f"{value.total_seconds():.6f}".rstrip("0").rstrip(".") + "s"
    raise TypeError(f"{type(value)} has no JSON form")


def at(time: datetime) -> str:
    """Formats a time to the second, in UTC."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def print_lines(lines: Iterable[tuple[str, str]]) -> None:
    """Prints labelled lines to standard error."""
    for name, text in lines:
        print(f"{name + ':':<10}{text}", file=sys.stderr)


def complain(message: str) -> None:
    """Prints an error to standard error."""
    print(f"token-authority: {message}", file=sys.stderr)
