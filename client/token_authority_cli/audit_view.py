"""Formats audit records for people."""

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from token_authority_cli.output import at

if TYPE_CHECKING:
    from token_authority_server.audit import Found

_SUBJECTS: Final = ("channel", "room", "user", "role")


def block(found: "Found") -> str:
    """Formats a record, one line per field."""
    fields = found.fields
    lines = [f"{_text(fields.get('event'))} {_moment(fields.get('time'))}"]
    lines.append(f"  record: {found.file}:{found.line}")
    omitted = {"event", "time", "expire_time", "chain", "seq", "prev", "hash"}
    lines += [f"  {name}: {_text(value)}" for name, value in fields.items() if name not in omitted]
    if fields.get("event") == "issued":
        lines.append(f"  expires: {_expires(fields)}")
    return "\n".join(lines)


def row(found: "Found") -> str:
    """Formats the record of a token as one line."""
    fields = found.fields
    subject = [f"{name} {_text(fields[name])}" for name in _SUBJECTS if fields.get(name)]
    subject += [name for name in ("any_channel", "any_user") if fields.get(name)]
    return ", ".join(
        [
            f"{_text(fields.get('token_id'))} {_text(fields.get('kind'))}",
            *subject,
            f"by {_text(fields.get('caller'))} {_moment(fields.get('time'))}",
            f"expires {_expires(fields)}",
        ]
    )


def _expires(fields: dict[str, Any]) -> str:
    return _moment(fields["expire_time"]) if fields.get("expire_time") is not None else "never"


def _moment(value: object) -> str:
    try:
        return at(datetime.fromisoformat(str(value)))
    except ValueError:
        return _text(value)


def _text(value: object) -> str:
    """Formats a value that a caller may have chosen; control characters are escaped."""
    return value if isinstance(value, str) and value.isprintable() else json.dumps(value)
