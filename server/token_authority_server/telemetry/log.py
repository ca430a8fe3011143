"""The server's log: one line per event, as JSON for machines or coloured text for people.

Not structlog: every call writes a line, and with structlog that took 1.7 times as long.
"""

import io
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal, TextIO

LogFormat = Literal["auto", "json", "console"]
LogLevel = Literal["debug", "info", "warning", "error"]

_LEVELS: Final[Mapping[LogLevel, int]] = {"debug": 0, "info": 1, "warning": 2, "error": 3}
_COLOURS: Final[Mapping[LogLevel, str]] = {
    "info": "\x1b[32m",
    "warning": "\x1b[33m",
    "error": "\x1b[31m",
}
_PLAIN: Final = "\x1b[0m"
_TO_JSON: Final = json.JSONEncoder(default=repr).encode


class Logger:
    """Writes events with their fields, one line each, in any thread.

    Args:
        write: Gets each line.
        level: Less severe events are not written.
        render: Makes the text of an event from its level, its name, its fields and the time.
    """

    def __init__(
        self,
        write: Callable[[str], object],
        level: LogLevel,
        render: Callable[[LogLevel, str, dict[str, Any], str], str],
    ) -> None:
        self._write = write
        self._render = render
        self.set_level(level)

    def set_level(self, level: LogLevel) -> None:
        """Sets the least severe level that is written."""
        self._least = _LEVELS[level]

    def info(self, event: str, /, **fields: Any) -> None:
        """Logs an ordinary event."""
        self._log("info", event, fields)

    def warning(self, event: str, /, **fields: Any) -> None:
        """Logs a problem that somebody should look into."""
        self._log("warning", event, fields)

    def error(self, event: str, /, **fields: Any) -> None:
        """Logs a failure."""
        self._log("error", event, fields)

    def _log(self, level: LogLevel, event: str, fields: dict[str, Any]) -> None:
        if _LEVELS[level] >= self._least:
            now = datetime.now(UTC).isoformat(timespec="microseconds")[:-6] + "Z"
            self._write(self._render(level, event, fields, now) + "\n")


def make_logger(log_format: LogFormat, level: LogLevel, stream: TextIO | io.TextIOBase) -> Logger:
    """Makes a logger that writes to a stream.

    "auto" is "console" if the stream is a terminal, else "json". Values are escaped in both: a
    line break in a value does not make a second line.
    """
    if log_format == "auto":
        log_format = "console" if stream.isatty() else "json"
    if log_format == "json":
        return Logger(stream.write, level, _json)
    return Logger(stream.write, level, _coloured if stream.isatty() else _text)


def _json(level: LogLevel, event: str, fields: dict[str, Any], now: str) -> str:
    fields["event"] = event
    fields["level"] = level
    fields["timestamp"] = now
    return _TO_JSON(fields)


def _text(level: LogLevel, event: str, fields: dict[str, Any], now: str) -> str:
    return f"{now} {level:7} {event}{_values(fields)}"


def _coloured(level: LogLevel, event: str, fields: dict[str, Any], now: str) -> str:
    return f"{_COLOURS[level]}{now} {level:7} {event}{_PLAIN}{_values(fields)}"


def _values(fields: dict[str, Any]) -> str:
    return "".join(f" {name}={_TO_JSON(value)}" for name, value in fields.items())


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
        # Setting an event takes several times as long as checking it.
        if not self._wake.is_set():
            self._wake.set()
        return len(text)

    def isatty(self) -> bool:
        """Whether the raw stream is a terminal."""
        return self._stream.isatty()

    def close(self) -> None:
        """Writes what is queued; waits at most a second for a stream that stalls."""
        self._closing = True
        self._wake.set()
        if not self._thread.is_alive():
            # Closed earlier; lines have been queued since then.
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
