"""How answers are written: as JSON for programs, as lines for people."""

import dataclasses
import json
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from token_authority_client import TokenAuthorityError


def as_json(answer: Any) -> str:
    """Writes a value of the client, or a dictionary of lists of them, with everything they have."""
    return json.dumps(answer, default=_plain, indent=2)


def error_as_json(error: "TokenAuthorityError") -> str:
    """Writes why there is no answer."""
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
    """Writes what JSON has no type for: times as RFC 3339, lifetimes as protobuf does."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, timedelta):
        return f"{value.total_seconds():.6f}".rstrip("0").rstrip(".") + "s"
    raise TypeError(f"{type(value)} has no JSON form")


def at(time: datetime) -> str:
    """Writes a moment to the second, in UTC."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def print_lines(lines: Iterable[tuple[str, str]]) -> None:
    """Prints names and what there is to say of them to standard error."""
    for name, text in lines:
        print(f"{name + ':':<10}{text}", file=sys.stderr)


def complain(message: str) -> None:
    """Prints what went wrong."""
    print(f"token-authority: {message}", file=sys.stderr)
