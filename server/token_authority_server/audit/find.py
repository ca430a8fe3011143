"""Searches audit files: who minted a token, and which unexpired tokens a key or a user has."""

import json
import re
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from token_authority_server.audit.lines import fields_of, read_lines, utc
from token_authority_server.audit.record import link_of
from token_authority_server.formats.fingerprint import fingerprint

_TOKEN_ID: Final = re.compile(r"[0-9A-Fa-f]{32}")


@dataclass(frozen=True, slots=True)
class Found:
    """A record that was found, and its location."""

    file: str
    line: int
    """Line number in the file, from 1."""
    fields: dict[str, Any]
    """Names and values of the record."""
    is_intact: bool
    """Whether the record matches its hash; if not, it was altered."""


def token_id_of(text: str) -> str:
    """Returns the id (fingerprint) of a token; an id is returned in lower case."""
    text = text.strip()
    return text.lower() if _TOKEN_ID.fullmatch(text) else fingerprint(text)


def find_token(token_id: str, paths: Iterable[Path]) -> Generator[Found]:
    """Yields every record of a token, in file order.

    Args:
        token_id: 32 hex digits in lower case, as `token_id_of` returns them.
        paths: The files to search, read line by line.

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
    """Yields the record of every token that a key signed, in file order.

    Args:
        key_id: The key's `id` in the configuration.
        paths: The files to search, read line by line.
        project: Only tokens of this project: several projects may use one key id.
        alive_at: Only tokens that have not expired at this time.

    Raises:
        OSError: A file cannot be read.
    """
    wanted = {"event": "issued", "key_id": key_id}
    if project is not None:
        wanted["project"] = project
    yield from _alive(_find(wanted, paths), alive_at)


def find_usable_by(
    user: str,
    paths: Iterable[Path],
    *,
    project: str | None = None,
    alive_at: datetime | None = None,
) -> Generator[Found]:
    """Yields the record of every token that names a user, or any user, in file order.

    Args:
        user: The user, as grants and records name it: `uid:7`, `account:alice`.
        paths: The files to search, read line by line.
        project: Only tokens of this project.
        alive_at: Only tokens that have not expired at this time.

    Raises:
        OSError: A file cannot be read.
    """
    wanted = {"event": "issued"}
    if project is not None:
        wanted["project"] = project
    marks = [json.dumps(user).encode(), b'"any_user":true']
    with closing(_alive(_find(wanted, paths, any_of=marks), alive_at)) as alive:
        for found in alive:
            users = found.fields.get("user")
            # A list if the services of a token differ.
            is_named = user == users or (isinstance(users, list) and user in users)
            if is_named or found.fields.get("any_user") is True:
                yield found


def _alive(records: Generator[Found], at: datetime | None) -> Generator[Found]:
    with closing(records):
        for found in records:
            if at is None or _is_alive(found.fields, at):
                yield found


def expire_time_of(fields: Mapping[str, Any]) -> datetime | None:
    """Returns when the token of a record expires; None for a token without expiration.

    Raises:
        ValueError: The record's time cannot be read.
    """
    text = fields.get("expire_time")
    return None if text is None else utc(text)


def _is_alive(fields: dict[str, Any], at: datetime) -> bool:
    try:
        expire_time = expire_time_of(fields)
    except ValueError:
        # An unreadable time counts as unexpired: a token too many is better than one missed.
        return True
    return expire_time is None or expire_time > at


def _find(
    wanted: dict[str, str], paths: Iterable[Path], any_of: Sequence[bytes] = ()
) -> Generator[Found]:
    # Parsing every line of a large file as JSON would take minutes: filter by bytes first.
    marks = [json.dumps(value).encode() for value in wanted.values()]
    with closing(read_lines(paths)) as lines:
        for path, number, data in lines:
            if not all(mark in data for mark in marks):
                continue
            if any_of and not any(mark in data for mark in any_of):
                continue
            fields = fields_of(data)
            if all(fields.get(name) == value for name, value in wanted.items()):
                link = link_of(data)
                yield Found(str(path), number, fields, link is not None and link.is_intact)
