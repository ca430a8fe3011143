"""The file that records go to: locked, appended to, synchronised. For the writer's thread alone.

All records of a batch are kept, or none: what a failed write left behind is cut off again.
"""

import contextlib
import fcntl
import os
import stat
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from token_authority_server.audit.probe import check_room
from token_authority_server.audit.reading import fields_of
from token_authority_server.audit.record import MAX_RECORD_BYTES, Chain, link_of, seal
from token_authority_server.audit.sinks import AuditError, Sink, torn_fields

FsyncPolicy = Literal["always", "interval", "never"]
"""`always`: records are on the disk when a call is answered. `interval`: about a second later.
`never`: when the operating system likes. If only the process dies, nothing is lost by any."""

# Holds the last whole record, and unfinished ones after it.
_TAIL_BYTES: Final = 4 * MAX_RECORD_BYTES
# A block of most file systems: with less than that, a disk is full.
_PROBE_BYTES: Final = 4096
_BEGINNING: Final = b'{"time":"'


class FileSink(Sink):
    """A file that this process alone appends to.

    The chain goes on where the file's last record ends. A line that a crash left unfinished is
    evidence: it is kept and ended, and a record `recovered` tells its length and hash.

    Args:
        path: The file; made, with mode 0600, if it does not exist.
        policy: When it is synchronised with the disk.
        chain_id: 32 hex digits, for the chain that begins if the file is empty.

    Raises:
        AuditError: It cannot be opened, another process writes to it, or it is no audit trail.
    """

    def __init__(self, path: Path, policy: FsyncPolicy, chain_id: str) -> None:
        super().__init__(f"audit file {path}", Chain(chain_id))
        self._path = path
        self._policy = policy
        self._unsynced = False
        self._lacks_break = False
        """Whether the file ends in an unfinished line."""
        self._cut_to: int | None = None
        """Where the last whole record ends, if what follows could not be cut off yet."""
        self._fd = self._open()
        try:
            self._take(self._fd)
        except BaseException:
            os.close(self._fd)
            raise

    def append(self, bodies: Sequence[str]) -> None:
        """Writes records where the policy wants them.

        Raises:
            OSError: None of them was kept.
            AuditError: Neither: the file was deleted, and cannot be created again.
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
        """Synchronises what was written since the last time.

        Raises:
            OSError: It may not be on the disk.
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
        """Goes on in the file at the path, if that is not the one it has.

        Raises:
            AuditError: That file cannot be used; records still go to the old one.
        """
        fd = self._open()
        try:
            if os.path.sameopenfile(fd, self._fd):
                os.close(fd)
                return
            with contextlib.suppress(OSError):
                self._cut()
                self.rest()
            self._take(fd)
        except BaseException:
            os.close(fd)
            raise
        os.close(self._fd)
        self._fd, self._unsynced, self._cut_to = fd, False, None

    def close(self) -> None:
        """Synchronises if the policy is `interval`, and lets go of the file.

        Raises:
            OSError: What was written last may not be on the disk.
        """
        try:
            self._cut()
            self.rest()
        finally:
            os.close(self._fd)

    def _whole_size(self) -> int:
        """Returns where to write: behind the last whole record, in a file that has a name."""
        if not os.fstat(self._fd).st_nlink:
            # It was deleted: what is written to it would be gone with this process.
            self.reopen()
        self._cut()
        return os.fstat(self._fd).st_size

    def _cut(self) -> None:
        if self._cut_to is not None:
            # The file may have been emptied from outside since.
            os.ftruncate(self._fd, min(self._cut_to, os.fstat(self._fd).st_size))
            self._cut_to = None

    def _open(self) -> int:
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise AuditError(
                f"{self.name}: {error.strerror}: create its folder, or allow this user to write "
                "to it"
            ) from None
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise AuditError(
                f"{self.name}: is not a regular file: name one, or set audit.stdout for a stream"
            )
        return fd

    def _take(self, fd: int) -> None:
        """Locks a file and goes on where it ends; an empty one goes on where the last one ended."""
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AuditError(
                f"{self.name}: another process writes to it: give each server a file of its own"
            ) from None
        size = os.fstat(fd).st_size
        if not size:
            _sync_folder(self._path.parent)
            self._lacks_break = False
            return
        tail = os.pread(fd, _TAIL_BYTES, max(size - _TAIL_BYTES, 0))
        chain, torn = _end_of(tail)
        if chain:
            self.chain = chain
            self.newest_ms = _time_of(tail.removesuffix(torn))
        elif len(tail) < size or not all(map(_may_be_torn, tail.split(b"\n"))):
            raise AuditError(
                f"{self.name}: does not end in records of an audit trail: move it away"
            )
        self._lacks_break = not tail.endswith(b"\n")
        if torn:
            self.pending.update(torn_fields(torn + b"\n" if self._lacks_break else torn))


def _end_of(tail: bytes) -> tuple[Chain | None, bytes]:
    """Finds the last record at the end of a file, and what comes after it.

    A record that does not have the hash it says it has was altered, not torn: the chain goes on
    from it all the same, and `verify` finds it.
    """
    end = len(tail)
    while end:
        start = tail.rfind(b"\n", 0, end - 1) + 1
        link = link_of(tail[start:end])
        if link:
            return Chain(link.chain_id, link.seq, link.hash), tail[end:]
        end = start
    return None, tail


def _time_of(records: bytes) -> int:
    """Returns the time of the last record, in milliseconds since 1970; 0 if it has none."""
    line = records[records.rfind(b"\n", 0, -1) + 1 :]
    try:
        time = datetime.fromisoformat(str(fields_of(line).get("time")))
    except ValueError:
        return 0
    return int(time.timestamp() * 1000)


def _may_be_torn(line: bytes) -> bool:
    """Whether it is the beginning of a record, without its end."""
    return line.startswith(_BEGINNING[: len(line)]) and not line.endswith(b"}")


def _write_all(fd: int, data: bytes) -> None:
    written = 0
    while written < len(data):
        written += os.write(fd, data[written:])


def _sync_folder(folder: Path) -> None:
    """Makes a new file's name survive a power failure, where the file system can do that."""
    with contextlib.suppress(OSError):
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
