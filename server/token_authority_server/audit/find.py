"""Finds records: who minted a token, and what a key signed that still lives."""

import json
import re
from collections.abc import Generator, Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from token_authority_server.audit.lines import fields_of, read_lines
from token_authority_server.audit.record import link_of
from token_authority_server.formats.fingerprint import fingerprint

_TOKEN_ID: Final = re.compile(r"[0-9A-Fa-f]{32}")


@dataclass(frozen=True, slots=True)
class Found:
    """A record, and where it stands."""

    file: str
    line: int
    """The line's number in the file, from 1."""
    fields: dict[str, Any]
    """What it says."""
    is_intact: bool
    """Whether it has the hash that it was written with; if not, do not believe it."""


def token_id_of(text: str) -> str:
    """Returns the id of a token; an id is returned as it is, in lower case."""
    text = text.strip()
    return text.lower() if _TOKEN_ID.fullmatch(text) else fingerprint(text)


def find_token(token_id: str, paths: Iterable[Path]) -> Generator[Found]:
    """Yields every record of a token, in the order of the files.

    Args:
        token_id: 32 hex digits in lower case, as `token_id_of` returns them.
        paths: The files to search; they are not held in memory.

    Raises:
        OSError: A file cannot be read.
    """
    return _find({"token_id": token_id}, paths)


def find_signed_by(
    key_id: str,
    paths: Iterable[Path],
    *,
    project: str | None = None,
    alive_at: datetime | None = None,
) -> Generator[Found]:
    """Yields the record of every token that a key signed, in the order of the files.

    Args:
        key_id: The name that the configuration gives the key.
        paths: The files to search; they are not held in memory.
        project: The project of the key, where several have one of that name.
        alive_at: Only those that have not expired by then, or never do.

    Raises:
        OSError: A file cannot be read.
    """
    wanted = {"event": "issued", "key_id": key_id}
    if project is not None:
        wanted["project"] = project
    with closing(_find(wanted, paths)) as records:
        for found in records:
            if alive_at is None or _is_alive(found.fields, alive_at):
                yield found


def expire_time_of(fields: dict[str, Any]) -> datetime | None:
    """Returns when the token of a record expires; None if it never does.

    Raises:
        ValueError: The record does not say it in RFC 3339.
    """
    text = fields.get("expire_time")
    if text is None:
        return None
    time = datetime.fromisoformat(str(text))
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _is_alive(fields: dict[str, Any], at: datetime) -> bool:
    try:
        expire_time = expire_time_of(fields)
    except ValueError:
        # Better one too many than one too few.
        return True
    return expire_time is None or expire_time > at


def _find(wanted: dict[str, str], paths: Iterable[Path]) -> Generator[Found]:
    # Parsing every line of a large file would take minutes; these bytes are in those that matter.
    marks = [json.dumps(value).encode() for value in wanted.values()]
    with closing(read_lines(paths)) as lines:
        for path, number, data in lines:
            if not all(mark in data for mark in marks):
                continue
            fields = fields_of(data)
            if all(fields.get(name) == value for name, value in wanted.items()):
                link = link_of(data)
                yield Found(str(path), number, fields, link is not None and link.is_intact)
