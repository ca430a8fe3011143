"""The report of a verification."""

from dataclasses import dataclass
from typing import Literal

from token_authority_server.audit.record import Chain

Fault = Literal["altered", "removed", "reordered", "inserted", "torn"]


@dataclass(frozen=True, slots=True)
class Problem:
    """The first line that shows that a trail was tampered with or cut."""

    file: str
    line: int
    """Line number in the file, from 1."""
    fault: Fault
    explanation: str
    """A sentence that quotes no value of the record."""


@dataclass(frozen=True, slots=True)
class Report:
    """Result of a verification."""

    records: int
    """Number of records that were verified."""
    chains: int
    """Number of chains that they belong to."""
    first_time: str
    """Time of the first record, as written in it; "" if there is no record."""
    last_time: str
    """Time of the last record."""
    last: Chain | None
    """Chain, number and hash of the last record; compare them with a copy kept elsewhere."""
    notes: tuple[str, ...]
    """Observations that are no proof of tampering, at most 101: where chains begin, what crashes
    left, files without a record, times that run backwards."""
    problem: Problem | None
    """The first problem; None if there is none."""
