"""The server's log: one line an event, JSON for machines or coloured text for people."""

import contextlib
import io
import threading
import time
from collections import deque
from typing import Final, Literal, TextIO, cast

import structlog
from structlog.typing import FilteringBoundLogger, Processor

LogFormat = Literal["auto", "json", "console"]
LogLevel = Literal["debug", "info", "warning", "error"]


def make_logger(
    log_format: LogFormat, level: LogLevel, stream: TextIO | io.TextIOBase
) -> FilteringBoundLogger:
    """Makes a logger that writes to a stream.

    "auto" is "console" where the stream is a terminal, else "json". Values are escaped in both: a
    line break in a value does not make a second line.
    """
    if log_format == "auto":
        log_format = "console" if stream.isatty() else "json"
    renderer: Processor = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=stream.isatty())
    )
    logger: FilteringBoundLogger = structlog.wrap_logger(
        structlog.WriteLogger(cast("TextIO", stream)),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    return logger.bind()


class BackgroundStream(io.TextIOBase):
    """Text in front of a raw stream that may be slow: `write` never waits and never fails.

    A thread of its own writes, a few times a second. When the stream behind is gone (a closed
    pipe, a full disk), lines are lost; when it stalls, lines beyond `max_lines` are, and the next
    one that gets through says how many. No call to the server is ever decided by its log.
    """

    _PAUSE_SECONDS: Final = 0.05

    def __init__(self, stream: io.RawIOBase, *, max_lines: int = 10_000) -> None:
        self._stream = stream
        self._max_lines = max_lines
        self._lines: deque[str] = deque()
        self._dropped = 0
        self._closing = False
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def write(self, text: str) -> int:
        """Takes a line."""
        if len(self._lines) < self._max_lines:
            self._lines.append(text)
        else:
            self._dropped += 1
        self._wake.set()
        return len(text)

    def isatty(self) -> bool:
        """Whether the stream behind is a terminal."""
        return self._stream.isatty()

    def close(self) -> None:
        """Writes what is left; waits a second at most for a stream that stalls."""
        self._closing = True
        self._wake.set()
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
        dropped, self._dropped = self._dropped, 0
        if dropped:
            lines.append(f'{{"event": "log lines dropped", "count": {dropped}}}\n')
        data = "".join(lines).encode(errors="backslashreplace")
        with contextlib.suppress(OSError, ValueError):
            while data:
                data = data[self._stream.write(data) or 0 :]
