"""Verifies the hash chains of one or more audit files, line by line, in constant memory."""

import re
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from token_authority_server.audit.lines import Line, fields_of, read_lines
from token_authority_server.audit.record import Chain, Link, link_of
from token_authority_server.audit.report import Fault, Problem, Report

_MAX_NOTES: Final = 100
_TIME: Final = re.compile(rb'\{"time":"([^"]{1,40})"')
# Records of a batch are encoded in slices, between those of other calls.
_MAX_DISORDER: Final = timedelta(seconds=1)
# Its time is that of the writer; the records it precedes may have waited for a disk that stalled.
_RECOVERED: Final = b'"event":"recovered"'


def verify(paths: Sequence[Path]) -> Report:
    """Verifies that each record is unaltered and follows its predecessor in its chain.

    Stops at the first problem. Memory grows with the number of files only.

    Args:
        paths: The files of one trail, oldest first.

    Raises:
        OSError: A file cannot be read.
    """
    check = ChainCheck(paths)
    with closing(read_lines(paths)) as lines:
        for line in lines:
            check.read(line, link_of(line.data))
            if check.problem:
                break
    return check.report()


@dataclass(slots=True)
class _Torn:
    """Lines that are not records, until a record explains them."""

    begin: Line
    digest: Any = field(default_factory=sha256)


@dataclass(slots=True)
class _Progress:
    """How far a chain has been read."""

    first_seq: int
    last: Chain


class ChainCheck:
    """State of a verification; see `verify`. Lines after the first problem must not be read."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._chains: dict[str, _Progress] = {}
        """Every chain that was seen. A new one can begin only in a new file."""
        self.count = 0
        self.first = self.current = b""
        self.last: Chain | None = None
        self.problem: Problem | None = None
        self._last_path: Path | None = None
        """File of the last record."""
        self._chain_began = ""
        """File and line in which the current chain took over from another."""
        self._last_time = ""
        self._read_paths: set[Path] = set()
        self._notes: list[str] = []
        self._notes_dropped = 0
        self._torn: _Torn | None = None

    def report(self) -> Report:
        """Returns the result, after the last line or the first problem."""
        if not self.problem:
            self._end()
        more = (f"and {self._notes_dropped} more notes",) if self._notes_dropped else ()
        notes = (*self._notes, *more)
        first, last = (str(fields_of(data).get("time", "")) for data in (self.first, self.current))
        chains = len(self._chains)
        return Report(self.count, chains, first, last, self.last, notes, self.problem)

    def read(self, line: Line, link: Link | None) -> None:
        """Checks the next line; `link` is its place in the chain."""
        self._read_paths.add(line.path)
        if link is None:
            self._torn = self._torn or _Torn(line)
            self._torn.digest.update(line.data)
        elif not link.is_intact:
            self._fail(line, "altered", "the record does not match its hash")
        else:
            if self._torn:
                self._explain(self._torn, line, link)
            self._follow(line, link)
        if link and not self.problem:
            self._accept(line, link)

    def _end(self) -> None:
        """Reports what only the end of the files shows."""
        for path in self._paths:
            if path not in self._read_paths:
                self._add_note(f"{path}: the file is empty")
        if self._torn:
            self._fail(
                self._torn.begin,
                "torn",
                "the line is not a complete record, and no later record explains it: the server "
                "died while writing it (it records that when it restarts), or the file was cut",
            )

    def _accept(self, line: Line, link: Link) -> None:
        chain = Chain(link.chain_id, link.seq, link.hash)
        self._chains.setdefault(link.chain_id, _Progress(link.seq, chain)).last = chain
        if self.last and self.last.chain_id != link.chain_id:
            self._chain_began = f"{line.path}:{line.number}"
        self._check_time(line)
        self.first = self.first or line.data
        self.current = line.data
        self.count += 1
        self.last, self._last_path = chain, line.path

    def _explain(self, torn: _Torn, line: Line, link: Link) -> None:
        """Compares lines that are not records with the record after them."""
        fields = fields_of(line.data)
        chain = self._chains.get(link.chain_id)
        if fields.get("event") == "recovered" and (
            fields.get("torn_sha256") == torn.digest.hexdigest()
        ):
            self._note(torn.begin, f"incomplete line of a crash, as record {link.seq} confirms")
        elif link.seq > (chain.last.seq if chain else 0) + 1:
            self._fail(
                torn.begin,
                "altered",
                f"the line is not a record, and a record is missing before record {link.seq}",
            )
        else:
            self._fail(torn.begin, "inserted", "the line is not a record, and no record is missing")
        self._torn = None

    def _follow(self, line: Line, link: Link) -> None:
        """Compares a record with the last one of its chain."""
        chain = self._chains.get(link.chain_id)
        is_other = self.last is not None and link.chain_id != self.last.chain_id
        if is_other and line.path == self._last_path:
            self._fail(line, "inserted", "the record belongs to another chain than the one before")
        elif chain is None:
            self._begin(line, link)
        elif link.seq > chain.last.seq + 1:
            self._miss(line, chain.last.seq, link)
        elif link.seq < chain.first_seq:
            self._fail(line, "reordered", f"record {link.seq} follows record {chain.last.seq}")
        elif link.seq <= chain.last.seq:
            self._fail(line, "inserted", f"record {link.seq} of this chain occurs twice")
        elif link.prev != chain.last.last_hash:
            self._fail(
                line,
                "altered",
                f"the record does not follow record {chain.last.seq} as it is in these files: "
                "that record was replaced",
            )
        elif is_other:
            self._fail(
                line,
                "inserted",
                f"the chain continues after records of another chain, which begin at "
                f"{self._chain_began}: that file is not part of this trail, or in the wrong place",
            )

    def _begin(self, line: Line, link: Link) -> None:
        last = self.last
        if link.seq > 1 and last:
            self._miss(line, 0, link)
        elif link.seq > 1:
            self._note(
                line, f"begins with record {link.seq}: earlier records are not in these files"
            )
        elif link.prev != Chain(link.chain_id).last_hash:
            self._fail(
                line, "altered", "the record is the first of its chain, yet refers to another"
            )
        elif last:
            self._note(
                line,
                f"a new chain begins; these files do not show whether more records followed record "
                f"{last.seq} of the previous chain (hash {last.last_hash})",
            )

    def _miss(self, line: Line, last_seq: int, link: Link) -> None:
        """Distinguishes records that are missing from records that were moved."""
        with closing(read_lines(self._paths)) as lines:
            for other in lines:
                found = link_of(other.data)
                if found and found.chain_id == link.chain_id and last_seq < found.seq < link.seq:
                    self._fail(
                        line,
                        "reordered",
                        f"record {link.seq} precedes record {found.seq}, which is at "
                        f"{other.path}:{other.number}",
                    )
                    return
        count = link.seq - last_seq - 1
        which = f"record {last_seq + 1} is" if count == 1 else f"{count} records are"
        hint = "; is a file missing before this one?" if line.path != self._last_path else ""
        self._fail(line, "removed", f"{which} missing before record {link.seq}{hint}")

    def _check_time(self, line: Line) -> None:
        found = _TIME.match(line.data)
        if not found or _RECOVERED in line.data:
            return
        time = found[1].decode("ascii", "replace")
        if time < self._last_time and _is_earlier(time, self._last_time):
            self._note(
                line,
                f"the time runs backwards, from {self._last_time} to {time}: the clock was set "
                "back, or the file is in the wrong place or forged",
            )
        self._last_time = time

    def _fail(self, line: Line, fault: Fault, explanation: str) -> None:
        # The first one counts: later ones may be its consequences.
        self.problem = self.problem or Problem(str(line.path), line.number, fault, explanation)

    def _note(self, line: Line, text: str) -> None:
        self._add_note(f"{line.path}:{line.number}: {text}")

    def _add_note(self, text: str) -> None:
        if len(self._notes) < _MAX_NOTES:
            self._notes.append(text)
        else:
            self._notes_dropped += 1


def _is_earlier(time: str, last: str) -> bool:
    """Whether a time precedes another by more than concurrent calls explain."""
    try:
        return datetime.fromisoformat(last) - datetime.fromisoformat(time) > _MAX_DISORDER
    except (ValueError, TypeError):
        return False
