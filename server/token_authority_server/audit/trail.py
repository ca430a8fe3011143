"""Writer of the audit trail: one thread that writes queued records in groups and wakes their calls.

The event loop only encodes records and puts them into a queue, which never blocks.
"""

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from enum import Enum, auto
from queue import Empty, SimpleQueue
from typing import Any, Final

from token_authority_server.audit.batches import RecordBatch, wake
from token_authority_server.audit.record import Chain, body_of
from token_authority_server.audit.sink_writer import PROBE_SECONDS, SinkWriter
from token_authority_server.audit.sinks import Sink
from token_authority_server.errors import audit_unavailable

# Far more batches than there can be concurrent calls: a longer queue means a stalled disk.
_MAX_QUEUED: Final = 10_000
_CLOSE_SECONDS: Final = 10.0
# How long the writer may be busy with a disk before that is a fault, though no call waits for it.
_STALL_SECONDS: Final = 1.0


class _Order(Enum):
    """Commands to the writer, between batches."""

    REOPEN = auto()
    CLOSE = auto()


class AuditTrail:
    """Writes records to sinks; each call awaits its batch.

    Args:
        sinks: Each receives every record, in a separate hash chain.
        required: Whether a call fails if a sink fails.
        clock: Milliseconds since 1970.
        on_failure: Called with the reason when a sink starts to fail; in any thread.
        on_recovery: Called when all sinks work again; in any thread.
        patience_seconds: How long a call waits for a stalled disk; after that, none waits until
            it responds again.
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
        self._writer = SinkWriter(self._sinks, clock, required=required)
        self._required = required
        self._clock = clock
        self._on_failure = on_failure
        self._on_recovery = on_recovery
        self._patience_seconds = patience_seconds
        self._queue: SimpleQueue[RecordBatch | _Order] = SimpleQueue()
        self._failing = self._stalled = self._closed = False
        self._reporting = threading.Lock()
        # The first is written by callers only, the second by the writer only.
        self._dropped = self._dropped_reported = 0
        self._busy_since: float | None = None
        # Since when each group waits; the writer removes it once it has written the group.
        self._waiting_since: deque[float] = deque()
        self._newest_ms = 0
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
        if self._sinks:
            self._thread.start()

    @property
    def is_enabled(self) -> bool:
        """Whether there is a sink; if not, records need not be encoded."""
        return bool(self._sinks)

    @property
    def heads(self) -> Mapping[str, Chain]:
        """How far the chain of each sink has come, by the sink's name."""
        return {sink.name: sink.chain for sink in self._sinks}

    @property
    def newest_ms(self) -> int:
        """The time of the newest record, in milliseconds since 1970; 0 if there is none."""
        return max([self._newest_ms, *[sink.newest_ms for sink in self._sinks]])

    @property
    def queue_length(self) -> int:
        """Groups of records that wait to be written."""
        return self._queue.qsize()

    @property
    def lag_seconds(self) -> float:
        """Age of the oldest record that is not yet written; 0 if there is none."""
        try:
            since = self._waiting_since[0]
        except IndexError:
            return 0.0
        return time.monotonic() - since

    @property
    def lost(self) -> int:
        """Records that could not be written, summed over the sinks."""
        return self._dropped * len(self._sinks) + self._writer.unwritten

    async def record(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Returns once every sink has written the records according to its policy.

        If not `required`, also returns if that failed; the records are then counted as lost. The
        record of a failed call may be on disk all the same, if the disk only stalled or one of two
        sinks wrote it; the record of an answered call always is.

        Raises:
            Refusal: AUDIT_UNAVAILABLE, if `required` and a sink failed or stalls.
            ValueError: A record contains a token, is too long, or uses a name of the chain.
        """
        await self.persist([self.encode(record) for record in records])

    def encode(self, record: Mapping[str, Any]) -> str:
        """Encodes a record for `persist`; large batches spread this over the event loop.

        Raises:
            ValueError: As `record`.
        """
        now_ms = self._clock()
        self._newest_ms = max(self._newest_ms, now_ms)
        return body_of(record, now_ms)

    async def persist(self, bodies: Sequence[str]) -> None:
        """Writes encoded records, as `record` does.

        Raises:
            Refusal: As `record`.
        """
        if not bodies or not self._sinks:
            return
        loop = asyncio.get_running_loop()
        persisted: asyncio.Future[bool] = loop.create_future()
        is_persisted = False
        if self._put(RecordBatch(bodies, (loop, persisted))):
            patience_seconds = 0 if self._stalled else self._patience_seconds
            timer = loop.call_later(patience_seconds, self._stop_waiting, persisted)
            try:
                is_persisted = await persisted
            finally:
                timer.cancel()
        if self._required and not is_persisted:
            raise audit_unavailable()

    def _stop_waiting(self, persisted: "asyncio.Future[bool]") -> None:
        if persisted.done():
            return
        persisted.set_result(False)
        if not self._stalled:
            self._stalled = True
            self._report(f"the audit trail has not responded for {self._patience_seconds:g} s")

    def record_soon(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Queues records without waiting; records that cannot be written are counted as lost.

        Raises:
            ValueError: As `record`.
        """
        bodies = [self.encode(record) for record in records]
        if bodies and self._sinks:
            self._put(RecordBatch(bodies, None))

    def report_stall(self) -> None:
        """Reports a disk that stalls. Call it every half second: there may be no calls to notice.

        Recovery is reported as soon as the writer continues.
        """
        since = self._busy_since
        if since is not None and time.monotonic() > since + _STALL_SECONDS:
            self._report(f"the audit trail has not responded for {_STALL_SECONDS:g} s")

    def reopen(self) -> None:
        """Completes a rotation (SIGHUP), without blocking: continues in new files.

        If a new file cannot be used, `on_failure` is called and the old one stays in use.
        """
        self._queue.put(_Order.REOPEN)

    def close(self) -> None:
        """Writes queued records and closes the sinks. Blocks, for a stalled disk up to 10 s."""
        if not self._closed and self._sinks:
            self._closed = True
            self._queue.put(_Order.CLOSE)
            self._thread.join(_CLOSE_SECONDS)

    def _put(self, batch: RecordBatch) -> bool:
        if self._closed or self._queue.qsize() >= _MAX_QUEUED:
            self._dropped += len(batch.bodies)
            return False
        # First: the writer may take the group at once.
        self._waiting_since.append(time.monotonic())
        self._queue.put(batch)
        return True

    def _report(self, problem: str) -> None:
        """Reports a change from working to failing, or back."""
        # A recovery must not overtake the failure that it ends, which would be reported for good.
        with self._reporting:
            if bool(problem) == self._failing:
                return
            self._failing = bool(problem)
            # The writer must survive any exception of the callbacks.
            with contextlib.suppress(Exception):
                if problem:
                    self._on_failure(problem)
                else:
                    self._on_recovery()

    def _run(self) -> None:
        """Runs the writer's thread."""
        order: _Order | None = None
        batches: list[RecordBatch] = []
        while True:
            self._busy_since = time.monotonic()
            self._write(batches)
            for _ in batches:
                self._waiting_since.popleft()
            if order is _Order.CLOSE:
                break
            self._writer.rest(reopen=order is _Order.REOPEN)
            self._busy_since = None
            self._report(self._writer.problem)
            batches, order = self._gather()
        self._writer.close()
        self._report(self._writer.problem)

    def _gather(self) -> tuple[list[RecordBatch], _Order | None]:
        """Returns queued batches up to the first order; waits half a second for one."""
        batches: list[RecordBatch] = []
        order: _Order | None = None
        with contextlib.suppress(Empty):
            item = self._queue.get(timeout=PROBE_SECONDS)
            while isinstance(item, RecordBatch):
                batches.append(item)
                item = self._queue.get_nowait()
            order = item
        return batches, order

    def _write(self, batches: Sequence[RecordBatch]) -> None:
        bodies = [body for batch in batches for body in batch.bodies]
        dropped = self._dropped - self._dropped_reported
        self._dropped_reported += dropped
        is_persisted = self._writer.write(bodies, dropped)
        self._stalled = False
        # First, so that the log has the reason before a caller is referred to it.
        self._report(self._writer.problem)
        wake(batches, is_persisted=is_persisted)
