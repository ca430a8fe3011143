"""Reads the files of a configuration, each at most once, and never waits for a pipe or a device."""

import errno
import os
import stat
import time
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

MAX_FILE_BYTES: Final = 1_048_576
"""The largest secret, certificate or key set."""

CREDENTIALS_DIRECTORY: Final = "CREDENTIALS_DIRECTORY"
"""The variable in which systemd passes the folder of a service's credentials."""

FileStamp: TypeAlias = tuple[int, ...] | int | None


class ReadProgress:
    """The file that a thread is reading, so that another thread can name a read that hangs."""

    def __init__(self) -> None:
        self._current: tuple[Path, float] | None = None

    @contextmanager
    def reading(self, path: Path) -> Generator[None]:
        """Marks a file as being read."""
        self._current = (path, time.monotonic())
        try:
            yield
        finally:
            self._current = None

    def overdue(self, seconds: float) -> Path | None:
        """Returns the file whose read has taken longer than this; None if there is none."""
        current = self._current
        return current[0] if current and time.monotonic() - current[1] > seconds else None


def read_regular_file(path: Path, max_bytes: int) -> bytes:
    """Reads a regular file, up to one byte more than allowed.

    A FIFO, socket or device is not waited for.

    Args:
        path: The file, or a link to it.
        max_bytes: How much to read at most, not counting the byte that shows that there is more.

    Raises:
        OSError: It cannot be read or is not a regular file.
        ValueError: The path contains a NUL character.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        mode = os.fstat(fd).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "Not a regular file")
        chunks: list[bytes] = []
        left = max_bytes + 1
        while left and (chunk := os.read(fd, min(left, MAX_FILE_BYTES))):
            chunks.append(chunk)
            left -= len(chunk)
        return b"".join(chunks)
    finally:
        os.close(fd)


@dataclass(frozen=True, slots=True)
class Sources:
    """Reads secrets and certificates for one validation: its context."""

    folder: Path
    """What relative paths are relative to: the folder of the configuration file."""
    environment: Mapping[str, str]
    progress: ReadProgress = field(default_factory=ReadProgress)
    contents: dict[Path, bytes | str] = field(default_factory=dict[Path, bytes | str])
    """What was read, or why it could not be."""
    limits: dict[Path, int] = field(default_factory=dict[Path, int])
    """How many bytes of each file were read at most."""
    signatures: dict[Path, FileStamp] = field(default_factory=dict[Path, FileStamp])
    """The signature of each file from before it was read."""

    def path(self, name: str) -> Path:
        """Returns a path of the configuration, which is relative to its folder.

        `$CREDENTIALS_DIRECTORY/` at its beginning is the folder of systemd's credentials.

        Raises:
            ValueError: That variable is not set.
        """
        prefix, slash, rest = name.partition("/")
        if not slash or prefix != f"${CREDENTIALS_DIRECTORY}":
            return self.folder / name
        if not (credentials := self.environment.get(CREDENTIALS_DIRECTORY)):
            raise ValueError(
                f"{name}: {CREDENTIALS_DIRECTORY} is not set: systemd sets it for a unit with "
                "LoadCredential=; elsewhere, set it to the folder"
            )
        return Path(credentials) / rest

    def read(self, name: str, max_bytes: int = MAX_FILE_BYTES) -> bytes:
        """Reads a file, or returns its content when it was first read.

        Raises:
            ValueError: It cannot be read, or is too large.
        """
        path = self.path(name)
        data = self.content(path, max(max_bytes, MAX_FILE_BYTES))
        if isinstance(data, str):
            raise ValueError(f"cannot read {path}: {data}")  # noqa: TRY004  # pydantic's way
        if len(data) > max_bytes:
            raise ValueError(f"{path} is too large: more than {max_bytes} bytes")
        return data

    def content(self, path: Path, max_bytes: int) -> bytes | str:
        """Returns what a file held when it was first read, or why it cannot be read."""
        if path not in self.contents:
            with self.progress.reading(path):
                self.signatures[path] = signature_of(path)
                self.limits[path] = max_bytes
                self.contents[path] = _content_of(path, max_bytes)
        return self.contents[path]

    @property
    def problems(self) -> dict[Path, str]:
        """The files that could not be read, and why."""
        return {path: text for path, text in self.contents.items() if isinstance(text, str)}

    def are_unchanged(self) -> bool:
        """Reads every file again; returns whether all have the same bytes."""
        for path, before in self.contents.items():
            with self.progress.reading(path):
                if _content_of(path, self.limits[path]) != before:
                    return False
        return True


def read_problems(files: Iterable[Path], progress: ReadProgress) -> dict[Path, str]:
    """Reads files again; returns those that cannot be read, and why."""
    problems: dict[Path, str] = {}
    for path in files:
        with progress.reading(path):
            content = _content_of(path, MAX_FILE_BYTES)
        if isinstance(content, str):
            problems[path] = content
    return problems


def _content_of(path: Path, max_bytes: int) -> bytes | str:
    try:
        return read_regular_file(path, max_bytes)
    except OSError as error:
        return error.strerror or type(error).__name__
    except ValueError:
        return "Not a path"


def signatures_of(files: Iterable[Path], progress: ReadProgress) -> dict[Path, FileStamp]:
    """Returns a value for each file that changes when it does, or when a link leads elsewhere."""
    found: dict[Path, FileStamp] = {}
    for path in files:
        with progress.reading(path):
            found[path] = signature_of(path)
    return found


def signature_of(path: Path) -> FileStamp:
    """Returns a value that changes when a file does."""
    try:
        status: Any = os.stat(path)  # noqa: PTH116  # as Path.stat, in one call
    except OSError as error:
        return error.errno
    except ValueError:
        # The path contains a NUL character; loading it reports that.
        return None
    # The change time also shows corrected permissions.
    return status.st_ctime_ns, status.st_mtime_ns, status.st_size, status.st_ino, status.st_dev
