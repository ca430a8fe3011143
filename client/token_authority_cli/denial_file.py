"""Edits a file of denials: replaces it at once, and keeps its comments, mode and owner."""

import contextlib
import fcntl
import json
import os
import stat
import tempfile
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from token_authority_server.access.denial import Denial

_HEADER: Final = "[[denials]]"


Change = Callable[[str, Sequence["Denial"]], "tuple[str, list[Denial]] | None"]
"""Returns the new text, and the denials that it must have; None: there is nothing to change."""
Parse = Callable[[str, str], Sequence["Denial"]]
"""Parses a text with a name for messages; raises ValueError."""


class NotEditable(Exception):
    """The denials are not written as `[[denials]]` tables."""


def append(text: str, row: Mapping[str, str | list[str] | datetime | None]) -> str:
    """Returns a text with one more denial at its end.

    Args:
        text: The text of a file of denials.
        row: The keys and values of the new one; None: without the key.
    """
    lines = [f"{key} = {_value(value)}" for key, value in row.items() if value is not None]
    before = f"{text.rstrip()}\n\n" if text.strip() else ""
    return "\n".join([f"{before}{_HEADER}", *lines, ""])


def remove(text: str, indices: Collection[int]) -> str:
    """Returns a text without some denials, and without the comments directly above them.

    Args:
        text: The text of a file of denials.
        indices: The numbers of the denials, from 0.

    Raises:
        NotEditable: There are fewer tables than that.
    """
    if not indices:
        return text
    lines = text.splitlines(keepends=True)
    starts = [number for number, line in enumerate(lines) if _is_header(line)]
    if len(starts) <= max(indices):
        raise NotEditable
    starts = [_with_comments(lines, start) for start in starts]
    ends = [*starts[1:], len(lines)]
    gone = {number for index in indices for number in range(starts[index], ends[index])}
    return "".join(line for number, line in enumerate(lines) if number not in gone)


def _with_comments(lines: list[str], start: int) -> int:
    """Returns the first line of the comment directly above a line; the line itself without one."""
    while start and lines[start - 1].startswith("#"):
        start -= 1
    return start


def _is_header(line: str) -> bool:
    return line.partition("#")[0].replace(" ", "").replace("\t", "").strip() == _HEADER


def _value(value: str | list[str] | datetime) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    # JSON's texts and lists of texts are TOML's.
    return json.dumps(value, ensure_ascii=False)


def edit(file: Path, change: Change, parse: Parse, *, creates: bool) -> bool:
    """Replaces a file by a changed one, which is checked first.

    Args:
        file: The file; what a link leads to is replaced.
        change: Changes the text.
        parse: Checks the text.
        creates: Whether the file may be missing.

    Returns:
        Whether there was something to change.

    Raises:
        OSError: The file cannot be read or replaced.
        ValueError: The file, or the new one, is not valid.
        NotEditable: The denials are not written as `[[denials]]` tables.
    """
    path = Path(os.path.realpath(file))
    with _locked(path.parent):
        exists = path.exists() or not creates
        text = path.read_text(encoding="utf-8-sig") if exists else ""
        changed = change(text, parse(text, str(file)))
        if changed is None:
            return False
        text, expected = changed
        if list(parse(text, str(file))) != expected:
            raise NotEditable
        _replace(path, text)
        return True


@contextlib.contextmanager
def _locked(folder: Path) -> Generator[None]:
    """Waits until no other `deny` edits a file of the folder."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
        os.fsync(fd)
    finally:
        os.close(fd)


def _replace(path: Path, text: str) -> None:
    """Writes a temporary file with the mode and owner of the one that it replaces; renames it."""
    fd, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            if path.exists():
                status = path.stat()
                if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
                    os.fchown(fd, status.st_uid, status.st_gid)
                os.fchmod(fd, stat.S_IMODE(status.st_mode))
            else:
                os.fchmod(fd, 0o644)
            file.write(text)
            file.flush()
            os.fsync(fd)
        Path(name).rename(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
