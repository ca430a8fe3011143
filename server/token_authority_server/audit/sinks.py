"""Where records go: what every sink does, and standard output. For the writer's thread alone."""

import errno
import os
import select
from abc import ABC, abstractmethod
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from token_authority_server.audit.record import Chain, seal


class AuditError(Exception):
    """A file that cannot hold the trail; the message says why and what to do."""


class Sink(ABC):
    """Takes records and chains them.

    Args:
        name: What to call it in messages.
        chain: How far its chain has come.
    """

    def __init__(self, name: str, chain: Chain) -> None:
        self.name = name
        self.chain = chain
        self.pending: dict[str, Any] = {}
        """What went wrong and no record tells of yet: `lost`, `torn_bytes`, `torn_sha256`."""
        self.newest_ms = 0
        """The time of the last record that was there before, in milliseconds since 1970; or 0."""

    @abstractmethod
    def append(self, bodies: Sequence[str]) -> None:
        """Writes records; `chain` says how far it came, then or when it fails.

        Raises:
            OSError: Not all of them were kept.
        """

    def rest(self) -> None:  # noqa: B027  # a stream has nothing to do
        """Called about every second.

        Raises:
            OSError: What was written before may not be safe.
        """

    @abstractmethod
    def probe(self) -> None:
        """Finds out, about every second, whether a record could be written now.

        Raises:
            OSError: It could not.
        """

    def reopen(self) -> None:  # noqa: B027  # a stream has nothing to do
        """Goes on in a new file, if the old one was moved away.

        Raises:
            AuditError: It stays with the old one.
        """

    def close(self) -> None:  # noqa: B027  # a stream has nothing to do
        """Makes what was written safe, and lets go.

        Raises:
            OSError: What was written before may not be safe.
        """


class StreamSink(Sink):
    """Standard output, or another stream that cannot be taken back: a line at a time.

    Args:
        name: What to call it in messages.
        fd: The file descriptor; it stays open.
        chain_id: 32 hex digits; each process begins a chain.
    """

    def __init__(self, name: str, fd: int, chain_id: str) -> None:
        super().__init__(name, Chain(chain_id))
        self._fd = fd
        self._torn = b""
        """What is out of lines that were not finished."""

    def append(self, bodies: Sequence[str]) -> None:
        """Writes records.

        Raises:
            OSError: The reader is gone, or the disk behind is full.
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
    """Returns what a record tells of unfinished lines before it, their line breaks included."""
    return {"torn_bytes": len(torn), "torn_sha256": sha256(torn).hexdigest()}
