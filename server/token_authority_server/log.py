"""The server's log: one line an event, JSON for machines or coloured text for people."""

from typing import Literal, TextIO

import structlog
from structlog.typing import FilteringBoundLogger, Processor

LogFormat = Literal["auto", "json", "console"]
LogLevel = Literal["debug", "info", "warning", "error"]


def make_logger(log_format: LogFormat, level: LogLevel, stream: TextIO) -> FilteringBoundLogger:
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
        structlog.WriteLogger(stream),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    return logger.bind()
