"""Prints reports about audit trails, and formats their records, for people."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from token_authority_cli.output import at, complain
from token_authority_cli.terminal_text import visible

if TYPE_CHECKING:
    from token_authority_server.audit import Found, Report

_SUBJECTS: Final = ("channel", "room", "user", "role")


def print_report(report: "Report") -> None:
    """Prints the result of a verification, unless it found a problem."""
    if report.problem:
        return
    if report.records:
        count = "1 record" if report.records == 1 else f"{report.records} records"
        result = (
            "the hash chain is unbroken"
            if report.chains == 1
            else f"each of {report.chains} hash chains is unbroken"
        )
        print(f"{count}, {visible(report.first_time)} to {visible(report.last_time)}: {result}")
    for note in report.notes:
        print(f"note: {visible(note)}")
    if last := report.last:
        print(f"last: record {last.seq} of chain {last.chain_id}, hash {last.last_hash}")


def complain_of_report(report: "Report") -> int:
    """Prints why a trail is not verified.

    Returns:
        The exit code: 0 if it is.
    """
    if problem := report.problem:
        place = f"{problem.file}:{problem.line}"
        complain(visible(f"{place}: {problem.fault}: {problem.explanation}"))
    elif not report.records:
        complain("these files contain no records: nothing was verified")
    return 1 if report.problem or not report.records else 0


def report_unreadable(command: Callable[[], int]) -> int:
    """Runs a command; reports a file that cannot be read, and returns 1."""
    try:
        return command()
    except OSError as error:
        # Without a name, the error is of the output, which `main` handles.
        if error.filename is None:
            raise
        complain(f"{error.filename}: cannot be read: {error.strerror}")
        return 1


def block(found: "Found") -> str:
    """Formats a record, one line per field."""
    fields = found.fields
    lines = [f"{_text(fields.get('event'))} {_moment(fields.get('time'))}"]
    lines.append(f"  record: {found.file}:{found.line}")
    omitted = {"event", "time", "expire_time", "chain", "seq", "prev", "hash"}
    lines += [
        f"  {visible(name)}: {_text(value)}"
        for name, value in fields.items()
        if name not in omitted
    ]
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
    except (ValueError, OverflowError):
        return _text(value)


def _text(value: object) -> str:
    """Formats a value that a caller may have chosen; control characters are escaped."""
    return value if isinstance(value, str) and value.isprintable() else json.dumps(value)
