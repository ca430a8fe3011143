"""Writes groups of records to the sinks and collects their failures. For the writer's thread."""

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from token_authority_server.audit.record import body_of
from token_authority_server.audit.sinks import Sink, describe_failure

PROBE_SECONDS: Final = 0.5
"""How often the sinks are probed."""
_REST_SECONDS: Final = 1.0
# What may fail though the records of a batch were written.
_HARMLESS: Final = frozenset({"reopening", "probing"})


class SinkWriter:
    """Writes records to every sink; the failure of one does not affect the others.

    Args:
        sinks: Each receives every record, in a separate hash chain.
        clock: Milliseconds since 1970.
        required: Whether a call fails if a sink fails.
    """

    def __init__(self, sinks: Sequence[Sink], clock: Callable[[], int], *, required: bool) -> None:
        self._sinks = sinks
        self._clock = clock
        self._required = required
        self._problems: dict[tuple[Sink, str], str] = {}
        self._rest_at = self._probe_at = 0.0
        self.unwritten = 0
        """Records that could not be written, summed over the sinks. Any thread may read it."""

    @property
    def problem(self) -> str:
        """What fails at present; "" if all sinks work."""
        return "; ".join(self._problems.values())

    def write(self, bodies: Sequence[str], dropped: int) -> bool:
        """Writes records.

        Args:
            bodies: The encoded records.
            dropped: How many records were dropped before these.

        Returns:
            Whether every sink has the records.
        """
        for sink in self._sinks:
            with self._collecting(sink, "writing"):
                self._append(sink, bodies, dropped)
        return all(what in _HARMLESS for _, what in self._problems)

    def rest(self, *, reopen: bool) -> None:
        """Synchronizes and probes the sinks if that is due.

        Args:
            reopen: Whether to complete a rotation.
        """
        now = time.monotonic()
        is_due, probe_is_due = now >= self._rest_at, now >= self._probe_at
        if is_due:
            self._rest_at = now + _REST_SECONDS
        if probe_is_due:
            self._probe_at = now + PROBE_SECONDS
        for sink in self._sinks:
            if is_due:
                with self._collecting(sink, "synchronising"):
                    sink.rest()
            if probe_is_due:
                with self._collecting(sink, "probing"):
                    sink.probe()
            if reopen or (is_due and (sink, "reopening") in self._problems):
                with self._collecting(sink, "reopening"):
                    sink.reopen()

    def close(self) -> None:
        """Closes the sinks."""
        for sink in self._sinks:
            with self._collecting(sink, "closing"):
                sink.close()

    def _append(self, sink: Sink, bodies: Sequence[str], dropped: int) -> None:
        """Writes records, preceded by one that reports earlier failures."""
        reported, sink.pending = sink.pending, {}
        if dropped:
            reported["lost"] = reported.get("lost", 0) + dropped
        first = [self._recovered(reported)] if reported else []
        before = sink.chain.seq
        try:
            if first or bodies:
                sink.append([*first, *bodies])
        except BaseException:
            kept = sink.chain.seq - before
            lost = len(bodies) - max(kept - len(first), 0)
            if not kept:
                sink.pending = {**reported, **sink.pending}
            sink.pending["lost"] = sink.pending.get("lost", 0) + lost
            self.unwritten += lost
            raise

    def _recovered(self, reported: Mapping[str, Any]) -> str:
        """Encodes the record of earlier failures; if `required`, no lost record is of a token."""
        about = {"event": "recovered", "required": self._required, **reported}
        return body_of(about, self._clock())

    @contextmanager
    def _collecting(self, sink: Sink, what: str) -> Generator[None]:
        """Collects the failure of an action, so that the writer continues."""
        try:
            yield
        except Exception as error:  # noqa: BLE001  # the writer must survive defects too
            self._problems[sink, what] = describe_failure(sink, error)
        else:
            self._problems.pop((sink, what), None)
