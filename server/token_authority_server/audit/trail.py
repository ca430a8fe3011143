"""The writer: one thread that takes what has gathered, writes it at once, and wakes who waits.

The event loop only encodes records and puts them into a queue, which never blocks.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum, auto
from queue import Empty, SimpleQueue
from typing import Any, Final

from token_authority_server.audit.record import Chain, body_of
from token_authority_server.audit.sinks import AuditError, Sink
from token_authority_server.audit.waiting import Batch, wake
from token_authority_server.errors import audit_unavailable

# More calls cannot wait at once; a longer queue means a disk that stalls.
_MAX_QUEUED: Final = 10_000
_CLOSE_SECONDS: Final = 10.0
_REST_SECONDS: Final = 1.0
# What may fail though the records of a batch were written.
_HARMLESS: Final = frozenset({"reopening", "probing"})


class _Order(Enum):
    """What the writer is to do between batches."""

    REOPEN = auto()
    CLOSE = auto()


class AuditTrail:
    """Records go to sinks; each call awaits its batch.

    Args:
        sinks: Each gets every record, in a chain of its own.
        required: Whether a call fails if a sink does.
        clock: Milliseconds since 1970.
        on_failure: Called when a sink begins to fail, with what is wrong: not for each record.
        on_recovery: Called when all of them take records again. Both are called in any thread.
        patience_seconds: How long a call waits for a disk that stalls. After that, calls do not
            wait until it moves again.
    """

    def __init__(
        self,
        sinks: Sequence[Sink],
        *,
        required: bool,
        clock: Callable[[], int],
        on_failure: Callable[[str], None],
        on_recovery: Callable[[], None],
        patience_seconds: float = 5.0,
    ) -> None:
        self._sinks = tuple(sinks)
        self._required = required
        self._clock = clock
        self._on_failure = on_failure
        self._on_recovery = on_recovery
        self._patience_seconds = patience_seconds
        self._queue: SimpleQueue[Batch | _Order] = SimpleQueue()
        self._problems: dict[tuple[Sink, str], str] = {}
        self._failing = False
        self._stalled = False
        self._closed = False
        # Counted by the callers, told by the writer; each only ever adds to its own.
        self._dropped = self._dropped_told = 0
        self._rest_at = 0.0
        self._newest_ms = 0
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
        if self._sinks:
            self._thread.start()

    @property
    def is_kept(self) -> bool:
        """Whether records go anywhere: if not, they need not be made."""
        return bool(self._sinks)

    @property
    def heads(self) -> Mapping[str, Chain]:
        """How far the chain of each sink has come, by the sink's name."""
        return {sink.name: sink.chain for sink in self._sinks}

    @property
    def newest_ms(self) -> int:
        """The time of the newest record, in milliseconds since 1970; 0 if there is none."""
        return max([self._newest_ms, *[sink.newest_ms for sink in self._sinks]])

    async def record(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Returns when every record is where the sinks' policies want it.

        If not `required`, also when that failed: then they are counted as lost. What a failed call
        recorded may be on the disk all the same, if the disk only stalled or one of two sinks took
        it; what is answered always is.

        Raises:
            Refusal: AUDIT_UNAVAILABLE, if `required` and a sink failed or stalls.
            ValueError: A record holds a token, is too long, or uses a name of the chain.
        """
        await self.persist([self.encode(record) for record in records])

    def encode(self, record: Mapping[str, Any]) -> str:
        """Encodes a record for `keep`: where they are many, that takes long and has to be spread.

        Raises:
            ValueError: As `record`.
        """
        now_ms = self._clock()
        self._newest_ms = max(self._newest_ms, now_ms)
        return body_of(record, now_ms)

    async def persist(self, bodies: Sequence[str]) -> None:
        """Does what `record` does, for records that are encoded.

        Raises:
            Refusal: As `record`.
        """
        if not bodies or not self._sinks:
            return
        loop = asyncio.get_running_loop()
        kept: asyncio.Future[bool] = loop.create_future()
        is_kept = False
        if self._put(Batch(bodies, (loop, kept))):
            try:
                async with asyncio.timeout(0 if self._stalled else self._patience_seconds):
                    is_kept = await kept
            except TimeoutError:
                self._stall()
        if self._required and not is_kept:
            raise audit_unavailable()

    def record_soon(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Records without waiting; what cannot be written is counted as lost.

        Raises:
            ValueError: As `record`.
        """
        bodies = [self.encode(record) for record in records]
        if bodies and self._sinks:
            self._put(Batch(bodies, None))

    def reopen(self) -> None:
        """Goes on in new files where the old ones were moved away (SIGHUP); returns at once.

        What was recorded before is in the old ones. A new file that cannot be used is reported to
        `on_failure`, and the old one kept.
        """
        self._queue.put(_Order.REOPEN)

    def close(self) -> None:
        """Writes what was recorded, and lets go. Blocks: for a disk that stalls, 10 seconds."""
        if not self._closed and self._sinks:
            self._closed = True
            self._queue.put(_Order.CLOSE)
            self._thread.join(_CLOSE_SECONDS)

    def _put(self, batch: Batch) -> bool:
        if self._closed or self._queue.qsize() >= _MAX_QUEUED:
            self._dropped += len(batch.bodies)
            return False
        self._queue.put(batch)
        return True

    def _stall(self) -> None:
        if not self._stalled:
            self._stalled = True
            self._say(f"the audit trail stalls for {self._patience_seconds:g} s or longer")

    def _say(self, problem: str) -> None:
        """Tells of a change from taking records to failing, or back."""
        if bool(problem) == self._failing:
            return
        self._failing = bool(problem)
        # The writer outlives whatever the callbacks do.
        with contextlib.suppress(Exception):
            if problem:
                self._on_failure(problem)
            else:
                self._on_recovery()

    def _run(self) -> None:
        """What the thread does."""
        order: _Order | None = None
        batches: list[Batch] = []
        while True:
            self._write(batches)
            if order is _Order.CLOSE:
                break
            self._rest(reopen=order is _Order.REOPEN)
            self._say("; ".join(self._problems.values()))
            batches, order = self._gather()
        for sink in self._sinks:
            with self._watching(sink, "closing"):
                sink.close()
        self._say("; ".join(self._problems.values()))

    def _gather(self) -> tuple[list[Batch], _Order | None]:
        """Takes what there is up to the first order; waits a while if there is nothing."""
        batches: list[Batch] = []
        with contextlib.suppress(Empty):
            item = self._queue.get(timeout=_REST_SECONDS)
            while isinstance(item, Batch):
                batches.append(item)
                item = self._queue.get_nowait()
            return batches, item
        return batches, None

    def _write(self, batches: Sequence[Batch]) -> None:
        bodies = [body for batch in batches for body in batch.bodies]
        dropped = self._dropped - self._dropped_told
        self._dropped_told += dropped
        for sink in self._sinks:
            with self._watching(sink, "writing"):
                self._append(sink, bodies, dropped)
        self._stalled = False
        is_kept = all(what in _HARMLESS for _, what in self._problems)
        # First, so that the log has the reason when a caller is told to look there.
        self._say("; ".join(self._problems.values()))
        wake(batches, is_kept=is_kept)

    def _append(self, sink: Sink, bodies: Sequence[str], dropped: int) -> None:
        """Writes records, and before them one of what went wrong earlier."""
        told, sink.pending = sink.pending, {}
        if dropped:
            told["lost"] = told.get("lost", 0) + dropped
        first = [self._recovered(told)] if told else []
        before = sink.chain.seq
        try:
            if first or bodies:
                sink.append([*first, *bodies])
        except BaseException:
            kept = sink.chain.seq - before
            lost = len(bodies) - max(kept - len(first), 0)
            if not kept:
                sink.pending = {**told, **sink.pending}
            sink.pending["lost"] = sink.pending.get("lost", 0) + lost
            raise

    def _recovered(self, told: Mapping[str, Any]) -> str:
        """Writes the record of what went wrong; if `required`, no lost record is of a token."""
        about = {"event": "recovered", "required": self._required, **told}
        return body_of(about, self._clock())

    def _rest(self, *, reopen: bool) -> None:
        is_due = time.monotonic() >= self._rest_at
        if is_due:
            self._rest_at = time.monotonic() + _REST_SECONDS
        for sink in self._sinks:
            if is_due:
                with self._watching(sink, "synchronising"):
                    sink.rest()
                with self._watching(sink, "probing"):
                    sink.probe()
            if reopen or (is_due and (sink, "reopening") in self._problems):
                with self._watching(sink, "reopening"):
                    sink.reopen()

    @contextmanager
    def _watching(self, sink: Sink, what: str) -> Generator[None]:
        """Notes whether something fails, so that the writer goes on."""
        try:
            yield
        except Exception as error:  # noqa: BLE001  # the writer outlives a defect of ours too
            self._problems[sink, what] = _described(sink, error)
        else:
            self._problems.pop((sink, what), None)


def _described(sink: Sink, error: Exception) -> str:
    if isinstance(error, AuditError):
        return str(error)
    problem = error.strerror if isinstance(error, OSError) else None
    # What another exception says may hold anything.
    return f"{sink.name}: {problem or type(error).__name__}"
