"""Sinks of audit records: the interface, and streams. Used by the writer's thread only."""

import errno
import os
import select
from abc import ABC, abstractmethod
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from token_authority_server.audit.record import Chain, seal


class AuditError(Exception):
    """An audit file that cannot be used; the message has the cause and what to do."""


class Sink(ABC):
    """Destination of records, with a separate hash chain.

    Args:
        name: Its name in messages.
        chain: The end of its chain.
    """

    def __init__(self, name: str, chain: Chain) -> None:
        self.name = name
        self.chain = chain
        self.pending: dict[str, Any] = {}
        """Failures that no record reports yet: `lost`, `torn_bytes`, `torn_sha256`."""
        self.newest_ms = 0
        """Time of the last record found at start, in milliseconds since 1970; 0: none."""

    @abstractmethod
    def append(self, bodies: Sequence[str]) -> None:
        """Writes records and advances `chain`, also if only some of them were written.

        Raises:
            OSError: Not all of them were written.
        """

    def rest(self) -> None:  # noqa: B027  # a stream has nothing to do
        """Synchronizes what was written; called about every second.

        Raises:
            OSError: Earlier records may be lost in a power failure.
        """

    @abstractmethod
    def probe(self) -> None:
        """Finds out, about twice a second, whether a record could be written now.

        Raises:
            OSError: It could not.
        """

    def reopen(self) -> None:  # noqa: B027  # a stream has nothing to do
        """Continues in a new file if the old one was moved away (rotation).

        Raises:
            AuditError: The new file cannot be used; the old one stays in use.
        """

    def close(self) -> None:  # noqa: B027  # a stream has nothing to do
        """Synchronizes and closes.

        Raises:
            OSError: Earlier records may be lost in a power failure.
        """


class StreamSink(Sink):
    """Standard output or another stream, written line by line, since a write cannot be undone.

    Args:
        name: Its name in messages.
        fd: File descriptor; stays open.
        chain_id: 32 hex digits; each process begins a new chain.
    """

    def __init__(self, name: str, fd: int, chain_id: str) -> None:
        super().__init__(name, Chain(chain_id))
        self._fd = fd
        self._torn = b""
        """Incomplete lines that were written."""

    def append(self, bodies: Sequence[str]) -> None:
        """Writes records.

        Raises:
            OSError: The reader closed the stream, or its disk is full.
        """
        for body in bodies:
            line, chain = seal(self.chain, [body])
            self._write(line)
            self.chain = chain

    def probe(self) -> None:
        """Finds out whether the reader is gone.

        Raises:
            OSError: It is.
        """
        poll = select.poll()
        poll.register(self._fd, 0)
        if any(event & select.POLLERR for _, event in poll.poll(0)):
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))

    def _write(self, line: bytes) -> None:
        data = b"\n" + line if self._torn else line
        written = 0
        try:
            while written < len(data):
                written += os.write(self._fd, data[written:])
        except OSError:
            if written:
                self._torn += data[:written]
                self.pending.update(torn_fields(self._torn + b"\n"))
            raise
        self._torn = b""


def torn_fields(torn: bytes) -> dict[str, Any]:
    """Returns the fields that report incomplete lines, including their line breaks."""
    return {"torn_bytes": len(torn), "torn_sha256": sha256(torn).hexdigest()}


def describe_failure(sink: Sink, error: Exception) -> str:
    """Describes why a sink failed, for the log."""
    if isinstance(error, AuditError):
        return str(error)
    problem = error.strerror if isinstance(error, OSError) else None
    # The message of another exception may contain anything.
    return f"{sink.name}: {problem or type(error).__name__}"
