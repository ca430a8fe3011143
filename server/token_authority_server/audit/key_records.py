"""Reads from an audit trail what each key signed, and since when the trail is complete.

Line by line: memory grows with the number of keys and chains only.
"""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from token_authority_server.audit.find import expire_time_of
from token_authority_server.audit.lines import Line, fields_of, read_lines, utc
from token_authority_server.audit.record import Chain, Link, link_of
from token_authority_server.audit.report import Report
from token_authority_server.audit.verify import ChainCheck

_ISSUED: Final = b'"event":"issued"'
_RECOVERED: Final = b'"event":"recovered"'
_MS: Final = timedelta(milliseconds=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class KeyRecords:
    """The tokens of a key in one trail. Times in milliseconds since 1970."""

    token_type: str
    """The type of the first token, e.g. `rtc`."""
    first_issue_ms: int
    last_issue_ms: int
    tokens: int = 0
    end_ms: int = 0
    """When the last expiring token expires; 0 if there is none."""
    never_expires: bool = False
    """Whether a token never expires, or its record does not tell when."""

    def joined(self, other: "KeyRecords") -> "KeyRecords":
        """Returns the tokens of this trail and of another one."""
        return KeyRecords(
            self.token_type,
            min(self.first_issue_ms, other.first_issue_ms),
            max(self.last_issue_ms, other.last_issue_ms),
            self.tokens + other.tokens,
            max(self.end_ms, other.end_ms),
            self.never_expires or other.never_expires,
        )


@dataclass(frozen=True, slots=True)
class TrailRecords:
    """The keys of one trail, and its verification."""

    keys: Mapping[tuple[str, str], KeyRecords]
    """By project and key id."""
    report: Report
    gap: str
    """The latest reason why a token may have no record: "FILE:LINE: …"; "" if there is none."""
    gap_ms: int | None
    """Until when such a token may have been signed, in milliseconds since 1970; None: no gap."""


def read_trail(paths: Sequence[Path], now_ms: int) -> TrailRecords:
    """Reads the files of one trail once.

    Args:
        paths: The files of one trail, oldest first.
        now_ms: Milliseconds since 1970: until then an incomplete last line may have been written.

    Raises:
        OSError: A file cannot be read.
    """
    check, reading = ChainCheck(paths), _Reading()
    with closing(read_lines(paths)) as lines:
        for line in lines:
            link, problem = link_of(line.data), ""
            if not check.problem:
                check.read(line, link)
                problem = check.problem.explanation if check.problem else ""
            reading.read(line, link, problem, is_broken=check.problem is not None)
    report = check.report()
    reading.end(paths, report, now_ms)
    return TrailRecords(reading.keys, report, reading.gap, reading.gap_ms)


class _Reading:
    """The keys that were read, and the latest gap."""

    def __init__(self) -> None:
        self.keys: dict[tuple[str, str], KeyRecords] = {}
        self.gap = ""
        self.gap_ms: int | None = None
        self._chains: dict[str, Chain] = {}
        self._newest_ms = 0
        self._torn = ""
        """File and line of what is no record, until the next record shows when it was written."""

    def read(self, line: Line, link: Link | None, problem: str, *, is_broken: bool) -> None:
        """Reads a line.

        Args:
            line: The line.
            link: Its place in the chain; None if it is not a record.
            problem: The first problem of the trail, if verification found it in this line.
            is_broken: Whether it found one in this line or before.
        """
        place = f"{line.path}:{line.number}"
        if link is None:
            # Until the first problem, verification compares such a line with the next record.
            self._torn = self._torn or (place if is_broken else "")
            return
        is_needed = problem or self._is_needed(line.data, link)
        fields = fields_of(line.data) if is_needed else {}
        time_ms = _ms(fields.get("time"))
        self._newest_ms = max(self._newest_ms, time_ms or 0)
        if self._torn:
            self._add_gap(f"{self._torn}: the line is not a record", self._newest_ms)
            self._torn = ""
        if found := problem or self._missing(link, fields):
            self._add_gap(f"{place}: {found}", self._newest_ms)
        self._chains[link.chain_id] = Chain(link.chain_id, link.seq, link.hash)
        if fields.get("event") == "issued":
            self._add(fields, self._newest_ms if time_ms is None else time_ms)

    def end(self, paths: Sequence[Path], report: Report, now_ms: int) -> None:
        """Notes what only the end of the files shows."""
        if self._torn:
            self._add_gap(f"{self._torn}: the line is not a record", now_ms)
        elif report.problem and report.problem.fault == "torn":
            self._add_gap(f"{report.problem.file}:{report.problem.line}: is torn", now_ms)
        elif not report.records and self.gap_ms is None:
            self._add_gap(f"{', '.join(map(str, paths))}: there is no record", now_ms)

    def _add_gap(self, explanation: str, until_ms: int) -> None:
        if self.gap_ms is None or until_ms >= self.gap_ms:
            self.gap, self.gap_ms = explanation, until_ms

    def _is_needed(self, data: bytes, link: Link) -> bool:
        """Whether a record has to be parsed as JSON, which takes longer than all else."""
        return _ISSUED in data or _RECOVERED in data or bool(self._torn or self._break(link))

    def _break(self, link: Link) -> str:
        """Explains why a record does not continue its chain; "" if it does."""
        if not link.is_intact:
            return "the record does not match its hash"
        last = self._chains.get(link.chain_id) or Chain(link.chain_id)
        if not last.seq and link.seq > 1:
            return f"begins with record {link.seq}: earlier records are not in these files"
        if (link.seq, link.prev) != (last.seq + 1, last.last_hash):
            return f"record {link.seq} does not follow record {last.seq}"
        return ""

    def _missing(self, link: Link, fields: Mapping[str, Any]) -> str:
        """Explains why tokens from before a record may have no record; "" if none may."""
        if fields.get("event") == "recovered" and fields.get("lost") and not fields.get("required"):
            return f"{fields['lost']} records were lost, as record {link.seq} reports"
        return self._break(link)

    def _add(self, fields: Mapping[str, Any], issue_ms: int) -> None:
        key = str(fields.get("project", "")), str(fields.get("key_id", ""))
        token_type = str(fields.get("kind", ""))
        found = self.keys.setdefault(key, KeyRecords(token_type, issue_ms, issue_ms))
        found.tokens += 1
        found.first_issue_ms = min(found.first_issue_ms, issue_ms)
        found.last_issue_ms = max(found.last_issue_ms, issue_ms)
        end_ms = _end_ms(fields)
        if end_ms is None:
            found.never_expires = True
        else:
            found.end_ms = max(found.end_ms, end_ms)


def _end_ms(fields: Mapping[str, Any]) -> int | None:
    try:
        end = expire_time_of(fields)
    except ValueError:
        return None
    # Rounded up.
    return None if end is None else -((_EPOCH - end) // _MS)


def _ms(time: object) -> int | None:
    try:
        return (utc(time) - _EPOCH) // _MS
    except ValueError:
        return None
