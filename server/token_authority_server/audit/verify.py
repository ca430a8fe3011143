"""Checks the chain of one or more files, a line at a time."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from token_authority_server.audit.reading import Line, fields_of, lines_of
from token_authority_server.audit.record import Chain, Link, link_of

Fault = Literal["altered", "removed", "reordered", "inserted", "torn"]


@dataclass(frozen=True, slots=True)
class Problem:
    """The first line at which a trail is not what was written."""

    file: str
    line: int
    """The line's number in the file, from 1."""
    fault: Fault
    explanation: str
    """Why, in a sentence without a value of the record."""


@dataclass(frozen=True, slots=True)
class Report:
    """What was found."""

    records: int
    """How many records were checked."""
    first_time: str
    """The time of the first record, as it says; "" if there is none."""
    last_time: str
    """The time of the last record."""
    last: Chain | None
    """The last record's chain, number and hash: compare them with a copy kept elsewhere."""
    notes: tuple[str, ...]
    """What is explained, or cannot be checked: where files begin, what crashes left."""
    problem: Problem | None
    """What is wrong; None if nothing is."""


def verify(paths: Sequence[Path]) -> Report:
    """Checks that each line is what was written, and follows the one before it.

    Stops at the first problem. A file is never held in memory.

    Args:
        paths: The files of one trail, the oldest first.

    Raises:
        OSError: A file cannot be read.
    """
    check = _Check(paths)
    with closing(lines_of(paths)) as lines:
        for line in lines:
            check.read(line)
            if check.problem:
                break
        else:
            check.end()
    first, last = (str(fields_of(data).get("time", "")) for data in (check.first, check.current))
    return Report(check.count, first, last, check.last, tuple(check.notes), check.problem)


@dataclass(slots=True)
class _Torn:
    """Lines that are no records, until a record explains them."""

    begin: Line
    digest: Any = field(default_factory=sha256)


class _Check:
    """Where the check stands."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self.count = 0
        self.first = self.current = b""
        self.last: Chain | None = None
        self._begin_seq = 0
        """The number of the first record of the chain that is read."""
        self.notes: list[str] = []
        self.problem: Problem | None = None
        self._torn: _Torn | None = None

    def read(self, line: Line) -> None:
        """Takes the next line."""
        link = link_of(line.data)
        if link is None:
            self._torn = self._torn or _Torn(line)
            self._torn.digest.update(line.data)
        elif not link.is_intact:
            self._fail(line, "altered", "its hash is not that of what it says")
        else:
            if self._torn:
                self._explain(self._torn, line, link)
            self._follow(line, link)
        if link and not self.problem:
            self.first = self.first or line.data
            self.current = line.data
            self.count += 1
            self.last = Chain(link.chain_id, link.seq, link.hash)

    def end(self) -> None:
        """Says what is wrong at the end."""
        if self._torn:
            self._fail(
                self._torn.begin,
                "torn",
                "it is no whole record, and none after it says why: the process died while "
                "writing it (a server that starts with this file records that), or it was cut",
            )

    def _explain(self, torn: _Torn, line: Line, link: Link) -> None:
        """Holds what is no record against the record after it."""
        fields = fields_of(line.data)
        if fields.get("event") == "recovered" and (
            fields.get("torn_sha256") == torn.digest.hexdigest()
        ):
            self._note(torn.begin, f"unfinished at a crash, as record {link.seq} says")
        elif link.seq > (self.last.seq if self.last else 0) + 1:
            self._fail(
                torn.begin, "altered", f"it is no record, and one is missing before {link.seq}"
            )
        else:
            self._fail(torn.begin, "inserted", "it is no record, and none is missing")
        self._torn = None

    def _follow(self, line: Line, link: Link) -> None:
        """Holds a record against the one before it."""
        last = self.last
        if last is None or (link.chain_id != last.chain_id and line.number == 1):
            self._begin(line, link)
        elif link.chain_id != last.chain_id:
            self._fail(line, "inserted", "it belongs to another chain")
        elif link.seq > last.seq + 1:
            self._miss(line, last, link)
        elif link.seq < self._begin_seq:
            self._fail(line, "reordered", f"record {link.seq} comes after record {last.seq}")
        elif link.seq <= last.seq:
            self._fail(line, "inserted", f"record {link.seq} stands before it already")
        elif link.prev != last.last_hash:
            self._fail(line, "altered", "the record before it is not the one it was written after")

    def _begin(self, line: Line, link: Link) -> None:
        self._begin_seq = link.seq
        if link.seq > 1:
            self._note(
                line, f"begins with record {link.seq}: what was before it is not in these files"
            )
        elif link.prev != Chain(link.chain_id).last_hash:
            self._fail(line, "altered", "it is the first of its chain and follows another")
        elif self.last:
            self._note(line, "a new chain begins: whether the one before it is whole is not said")

    def _miss(self, line: Line, last: Chain, link: Link) -> None:
        """Tells records that are gone from records that stand elsewhere."""
        with closing(lines_of(self._paths)) as lines:
            for other in lines:
                found = link_of(other.data)
                if found and found.chain_id == link.chain_id and last.seq < found.seq < link.seq:
                    self._fail(
                        line,
                        "reordered",
                        f"record {found.seq} stands after it, at {other.path}:{other.number}",
                    )
                    return
        count = link.seq - last.seq - 1
        which = f"record {last.seq + 1} is" if count == 1 else f"{count} records are"
        hint = "; is a file missing before this one?" if line.number == 1 else ""
        self._fail(line, "removed", f"{which} missing before record {link.seq}{hint}")

    def _fail(self, line: Line, fault: Fault, explanation: str) -> None:
        # The first one stands: what follows may follow from it.
        self.problem = self.problem or Problem(str(line.path), line.number, fault, explanation)

    def _note(self, line: Line, text: str) -> None:
        self.notes.append(f"{line.path}:{line.number}: {text}")
