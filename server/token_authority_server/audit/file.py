"""File sink: lock, append, synchronization and rotation. Used by the writer's thread only.

A batch is written entirely or not at all: the remains of a failed write are truncated.
"""

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

from token_authority_server.audit.probe import check_room
from token_authority_server.audit.record import Chain, seal
from token_authority_server.audit.sinks import AuditError, Sink, torn_fields
from token_authority_server.audit.tail import end_of_file, time_of

FsyncPolicy = Literal["always", "interval", "never"]
"""`always`: records are on disk before the call is answered. `interval`: about a second later.
`never`: when the operating system decides. No policy loses records if only the process dies."""

# A block of most file systems: with less than that, a disk is full.
_PROBE_BYTES: Final = 4096


class FileSink(Sink):
    """A file that only this process appends to.

    The chain continues after the file's last record. An incomplete line left by a crash is
    evidence: it is kept, and a record `recovered` states its length and hash.

    Args:
        path: The file; created with mode 0600 if it does not exist.
        policy: When it is synchronized with the disk.
        chain_id: 32 hex digits: the id of a new chain, if the file is empty.

    Raises:
        AuditError: It cannot be opened, is locked by another process, or is not an audit trail.
    """

    def __init__(self, path: Path, policy: FsyncPolicy, chain_id: str) -> None:
        super().__init__(f"audit file {path}", Chain(chain_id))
        self._path = path
        self._policy = policy
        self._unsynced = False
        self._lacks_break = False
        """Whether the file ends without a line break."""
        self._cut_to: int | None = None
        """End of the last complete record, if the remains after it could not be truncated yet."""
        self._fd = self._open()
        try:
            self._acquire(self._fd)
        except BaseException:
            os.close(self._fd)
            raise

    def append(self, bodies: Sequence[str]) -> None:
        """Writes records, and synchronizes if the policy is `always`.

        Raises:
            OSError: None of them was written.
            AuditError: None of them: the file was deleted, and cannot be created again.
        """
        size = self._whole_size()
        data, chain = seal(self.chain, bodies)
        try:
            _write_all(self._fd, b"\n" + data if self._lacks_break else data)
            if self._policy == "always":
                os.fsync(self._fd)
        except OSError:
            self._cut_to = size
            with contextlib.suppress(OSError):
                self._cut()
            raise
        self.chain = chain
        self._lacks_break = False
        self._unsynced = self._policy == "interval"

    def rest(self) -> None:
        """Synchronizes what was written since the last call.

        Raises:
            OSError: It may not be on disk.
        """
        if self._unsynced:
            os.fsync(self._fd)
            self._unsynced = False

    def probe(self) -> None:
        """Finds out whether a record could be appended to a file that has a name.

        Raises:
            OSError: It could not.
            AuditError: It could not: it was deleted, and cannot be created again.
        """
        self._whole_size()
        check_room(self._fd, _PROBE_BYTES)

    def reopen(self) -> None:
        """Completes a rotation: continues in the file at the path if it is another one by now.

        Raises:
            AuditError: That file cannot be used; the old one stays in use.
            OSError: The old file reports an error when it is closed; the new one is in use.
        """
        fd = self._open()
        try:
            if os.path.sameopenfile(fd, self._fd):
                os.close(fd)
                return
            with contextlib.suppress(OSError):
                self._cut()
                self.rest()
            self._acquire(fd)
        except BaseException:
            os.close(fd)
            raise
        old, self._fd = self._fd, fd
        self._unsynced, self._cut_to = False, None
        # Last: if it fails, the descriptor is free all the same, and another file may get it.
        os.close(old)

    def close(self) -> None:
        """Synchronizes if the policy is `interval`, and closes the file.

        Raises:
            OSError: The last records may not be on disk.
        """
        try:
            self._cut()
            self.rest()
        finally:
            os.close(self._fd)

    def _whole_size(self) -> int:
        """Returns the end of the last complete record, in a file that was not deleted."""
        status = os.fstat(self._fd)
        # Usually one system call: each gives the interpreter to another thread.
        if status.st_nlink and self._cut_to is None:
            return status.st_size
        if not status.st_nlink:
            # Deleted: records written to it would be lost with this process.
            self.reopen()
        self._cut()
        return os.fstat(self._fd).st_size

    def _cut(self) -> None:
        if self._cut_to is not None:
            # Another process may have truncated the file meanwhile.
            os.ftruncate(self._fd, min(self._cut_to, os.fstat(self._fd).st_size))
            self._cut_to = None

    def _open(self) -> int:
        return _open(self._path, os.O_CREAT)

    def _acquire(self, fd: int) -> None:
        """Locks a file and continues its chain; an empty file continues the current chain."""
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AuditError(
                f"{self.name}: another process writes to it: configure a separate file for "
                "each server"
            ) from None
        size = os.fstat(fd).st_size
        if not size:
            _sync_folder(self._path.parent)
            self._lacks_break = False
            return
        tail, chain, torn = end_of_file(fd, self._path)
        if chain:
            self.chain = chain
            self.newest_ms = time_of(tail.removesuffix(torn))
        self._lacks_break = not tail.endswith(b"\n")
        if torn:
            self.pending.update(torn_fields(torn + b"\n" if self._lacks_break else torn))


def check_audit_file(path: Path) -> None:
    """Checks that a FileSink can use a file, and neither creates nor locks it.

    Raises:
        AuditError: As FileSink, except that another process may be writing to it.
    """
    try:
        fd = _open(path, 0)
    except FileNotFoundError:
        # It will be created.
        if not path.parent.is_dir():
            raise _unusable(path, errno.ENOENT) from None
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise _unusable(path, errno.EACCES) from None
        return
    try:
        if os.fstat(fd).st_size:
            end_of_file(fd, path)
    finally:
        os.close(fd)


def _open(path: Path, flags: int) -> int:
    """Opens a regular file for appending.

    Raises:
        AuditError: It cannot be opened.
        FileNotFoundError: It does not exist, and `flags` lack O_CREAT.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | flags, 0o600)
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not flags:
            raise
        raise _unusable(path, error.errno) from None
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise AuditError(
            f"audit file {path}: is not a regular file: name one, or set audit.stdout for a stream"
        )
    return fd


def _unusable(path: Path, number: int | None) -> AuditError:
    problem = os.strerror(number or errno.EIO)
    return AuditError(
        f"audit file {path}: {problem}: create its folder, or allow this user to write to it"
    )


def _write_all(fd: int, data: bytes) -> None:
    written = 0
    while written < len(data):
        written += os.write(fd, data[written:])


def _sync_folder(folder: Path) -> None:
    """Makes a new file's name survive a power failure, if the file system supports that."""
    with contextlib.suppress(OSError):
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
