"""The server's log: one line per event, as JSON for machines or coloured text for people."""

import io
import json
import threading
import time
from collections import deque
from datetime import UTC, datetime
from typing import Final, Literal, TextIO, cast

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor

LogFormat = Literal["auto", "json", "console"]
LogLevel = Literal["debug", "info", "warning", "error"]

_TO_JSON: Final = json.JSONEncoder(default=repr).encode


def make_logger(
    log_format: LogFormat, level: LogLevel, stream: TextIO | io.TextIOBase
) -> FilteringBoundLogger:
    """Makes a logger that writes to a stream.

    "auto" is "console" where the stream is a terminal, else "json". Values are escaped in both: a
    line break in a value does not make a second line.
    """
    if log_format == "auto":
        log_format = "console" if stream.isatty() else "json"
    processors: list[Processor] = (
        [_render_json]
        if log_format == "json"
        else [
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.ConsoleRenderer(colors=stream.isatty()),
        ]
    )
    logger: FilteringBoundLogger = structlog.wrap_logger(
        structlog.WriteLogger(cast("TextIO", stream)),
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    return logger.bind()


def _render_json(_: object, level: str, fields: EventDict) -> str:
    """Renders a line; one processor costs each call a third of what three of structlog's do."""
    fields["level"] = level
    fields["timestamp"] = datetime.now(UTC).isoformat(timespec="microseconds")[:-6] + "Z"
    return _TO_JSON(fields)


class BackgroundStream(io.TextIOBase):
    """Text in front of a raw stream that may be slow: `write` never blocks and never fails.

    A background thread writes, a few times a second. Lines are dropped when the stream is gone (a
    closed pipe, a full disk), and beyond `max_lines` when it stalls; the next line that is written
    after a stall has their number. A slow log never delays a call.
    """

    _PAUSE_SECONDS: Final = 0.05

    def __init__(self, stream: io.RawIOBase, *, max_lines: int = 10_000) -> None:
        self._stream = stream
        self._max_lines = max_lines
        self._lines: deque[str] = deque()
        # Each is only ever added to by one side: the callers of `write`, the thread.
        self._overflowed = self._reported = 0
        self._lost = 0
        self._closing = False
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """How many lines were dropped since the start."""
        return self._overflowed + self._lost

    def write(self, text: str) -> int:
        """Queues a line."""
        if len(self._lines) < self._max_lines:
            self._lines.append(text)
        else:
            self._overflowed += 1
        self._wake.set()
        return len(text)

    def isatty(self) -> bool:
        """Whether the stream behind is a terminal."""
        return self._stream.isatty()

    def close(self) -> None:
        """Writes what is queued; waits at most a second for a stream that stalls."""
        self._closing = True
        self._wake.set()
        if not self._thread.is_alive():
            # Closed before: lines have come since.
            self._thread = threading.Thread(target=self._write_out, name="log", daemon=True)
            self._thread.start()
        self._thread.join(timeout=1)

    def _run(self) -> None:
        while not self._closing:
            self._wake.wait()
            if not self._closing:
                # Lets lines gather, so that many share one write.
                time.sleep(self._PAUSE_SECONDS)
            self._wake.clear()
            self._write_out()
        self._write_out()

    def _write_out(self) -> None:
        lines = [self._lines.popleft() for _ in range(len(self._lines))]
        count = len(lines)
        dropped = self._overflowed - self._reported
        self._reported += dropped
        if dropped:
            lines.append(f'{{"event": "log lines dropped", "count": {dropped}}}\n')
        data = "".join(lines).encode(errors="backslashreplace")
        try:
            while data:
                data = data[self._stream.write(data) or 0 :]
        except (OSError, ValueError):
            # Those that were written in part are lost too.
            self._lost += min(count, data.count(b"\n"))
