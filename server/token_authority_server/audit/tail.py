"""Reads the end of an audit file: its last record, and what a crash left after it."""

import os
from pathlib import Path
from typing import Final

from token_authority_server.audit.lines import fields_of, utc
from token_authority_server.audit.record import MAX_RECORD_BYTES, Chain, link_of
from token_authority_server.audit.sinks import AuditError

# Enough for the last complete record and incomplete ones after it.
_TAIL_BYTES: Final = 4 * MAX_RECORD_BYTES
_BEGINNING: Final = b'{"time":"'


def end_of_file(fd: int, path: Path) -> tuple[bytes, Chain | None, bytes]:
    """Returns the end of a file, its last record, and what comes after it.

    Raises:
        AuditError: The file is no audit trail.
    """
    size = os.fstat(fd).st_size
    tail = os.pread(fd, _TAIL_BYTES, max(size - _TAIL_BYTES, 0))
    chain, torn = _end_of(tail)
    if not chain and (len(tail) < size or not all(map(_may_be_torn, tail.split(b"\n")))):
        raise AuditError(f"audit file {path}: does not end with audit records: move it away")
    return tail, chain, torn


def _end_of(tail: bytes) -> tuple[Chain | None, bytes]:
    """Finds the last record at the end of a file, and the bytes after it.

    A record that does not match its hash was altered, not torn: the chain continues after it, and
    `verify` finds it.
    """
    end = len(tail)
    while end:
        start = tail.rfind(b"\n", 0, end - 1) + 1
        link = link_of(tail[start:end])
        if link:
            return Chain(link.chain_id, link.seq, link.hash), tail[end:]
        end = start
    return None, tail


def time_of(records: bytes) -> int:
    """Returns the time of the last record, in milliseconds since 1970; 0 if it has none."""
    line = records[records.rfind(b"\n", 0, -1) + 1 :]
    try:
        time = utc(fields_of(line).get("time"))
    except ValueError:
        return 0
    return int(time.timestamp() * 1000)


def _may_be_torn(line: bytes) -> bool:
    """Whether a line may be the beginning of a record that was not completed."""
    return line.startswith(_BEGINNING[: len(line)]) and not line.endswith(b"}")
