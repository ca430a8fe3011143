"""Reads files for `token-authority scan`, of any size and content, in bounded memory."""

import json
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from token_authority_server.inspection.leaks import Leak

_CHUNK: Final = 1 << 20
# Bytes before a range, which show whether a word begins there.
_BEFORE: Final = 8
_MAX_REPORT: Final = 64 << 20

Find = Callable[[bytes, int, int], "Iterator[Leak]"]


@dataclass(frozen=True, slots=True)
class Place:
    """A leak, and where it is."""

    file: str
    line: int
    """From 1 on."""
    leak: "Leak"


def files_under(path: Path) -> Iterator[Path]:
    """Yields a file, or the regular files under a folder; symbolic links there are not followed.

    Raises:
        OSError: The path does not exist, or a folder cannot be read.
    """
    if not stat.S_ISDIR(path.stat().st_mode):
        yield path
        return

    def refuse(error: OSError) -> None:
        raise error

    for folder, folders, names in os.walk(path, onerror=refuse):
        folders.sort()
        for name in sorted(names):
            found = Path(folder, name)
            if stat.S_ISREG(found.lstat().st_mode):
                yield found


def scan_stream(stream: IO[bytes], name: str, find: Find, longest: int) -> Iterator[Place]:
    """Yields the leaks of a stream, which is read in windows that overlap.

    Args:
        stream: The stream.
        name: Its name in the results.
        find: Yields the leaks that begin in a range of some bytes.
        longest: How far a leak may continue past its beginning, in bytes.
    """
    window, first, line = b"", 0, 1
    while True:
        chunk = stream.read(_CHUNK)
        window += chunk
        end = max(first, len(window) - longest) if chunk else len(window)
        counted = first
        for leak in sorted(find(window, first, end), key=lambda leak: leak.offset):
            line += window.count(b"\n", counted, leak.offset)
            counted = leak.offset
            yield Place(name, line, leak)
        if not chunk:
            return
        line += window.count(b"\n", counted, end)
        start = max(0, end - _BEFORE)
        window, first = window[start:], end - start


def scan_report(stream: IO[bytes], find: Find) -> Iterator[Place]:
    """Yields the leaks in the secrets of gitleaks' JSON report, at the places that it names.

    Raises:
        ValueError: It is no such report, or larger than 64 MiB.
    """
    data = stream.read(_MAX_REPORT + 1)
    if len(data) > _MAX_REPORT:
        raise ValueError("gitleaks' report is larger than 64 MiB: split it")
    for row in _rows(data):
        # A rule's match has the text around the secret, which may be a part of a token.
        text = "\n".join([str(row.get("Match", "")), str(row.get("Secret", ""))])
        content = text.encode(errors="replace")
        seen: set[Any] = set()
        for leak in find(content, 0, len(content)):
            if (key := (leak.what, leak.token_id, leak.key_id, leak.project)) not in seen:
                seen.add(key)
                line = row.get("StartLine", 0)
                yield Place(str(row.get("File", "")), line if isinstance(line, int) else 0, leak)


def _rows(data: bytes) -> list[dict[str, Any]]:
    try:
        rows: Any = json.loads(data)
    except (ValueError, RecursionError):
        rows = None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in cast("Any", rows)):
        raise ValueError("not a JSON report of gitleaks: use its --report-format json")
    return cast("list[dict[str, Any]]", rows)
