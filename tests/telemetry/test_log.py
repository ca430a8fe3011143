import io
import json
import threading
import time
from typing import Any, cast

import pytest

from token_authority_server.telemetry.log import BackgroundStream, LogFormat, make_logger
from token_authority_server.telemetry.metrics import Metrics


@pytest.mark.parametrize("log_format", ["json", "console", "auto"])
def test_a_line_break_in_a_value_does_not_make_a_second_line(log_format: LogFormat) -> None:
    output = io.StringIO()
    make_logger(log_format, "info", output).info(
        "refused", project='x"\n{"event": "issued"}\x1b[2J'
    )
    assert output.getvalue().count("\n") == 1
    assert "\x1b[2J" not in output.getvalue()


def test_json_lines_have_time_level_and_event() -> None:
    output = io.StringIO()
    make_logger("json", "info", output).warning("careful", number=1)
    line = json.loads(output.getvalue())
    assert (line["event"], line["level"], line["number"]) == ("careful", "warning", 1)
    assert line["timestamp"].endswith("Z")


class Stalling(io.BytesIO):
    """A stream whose reader does not read until told to."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = threading.Event()

    def write(self, data: Any) -> int:
        self.reads.wait(10)
        # Half of it at a time, as a pipe may.
        return super().write(data[: len(data) // 2 + 1])


def test_a_stalled_stream_holds_nobody_up_and_loses_lines_with_a_count() -> None:
    slow = Stalling()
    stream = BackgroundStream(cast("Any", slow), max_lines=3)
    started = time.monotonic()
    stream.write("first\n")
    time.sleep(0.2)  # the thread is waiting in its write now
    for number in range(5):
        stream.write(f"{number}\n")
    assert time.monotonic() - started < 5
    slow.reads.set()
    stream.close()
    assert stream.dropped == 2
    assert slow.getvalue() == (b'first\n0\n1\n2\n{"event": "log lines dropped", "count": 2}\n')


def test_a_stream_that_is_gone_fails_nobody() -> None:
    class Gone(io.RawIOBase):
        def write(self, _: Any) -> int:
            raise BrokenPipeError

    stream = BackgroundStream(Gone())
    metrics = Metrics()
    metrics.dropped_lines.watch(lambda: stream.dropped)
    stream.write("lost\n")
    stream.write("lost\n")
    stream.close()
    assert b"token_authority_log_lines_dropped_total 2.0" in metrics.exposition()


def test_what_is_less_severe_than_the_level_is_not_written() -> None:
    output = io.StringIO()
    make_logger("json", "warning", output).info("issued")
    assert not output.getvalue()


def test_a_line_for_people_has_time_level_event_and_fields() -> None:
    output = io.StringIO()
    make_logger("console", "info", output).warning("careful", number=1, name="a b")
    assert output.getvalue().endswith('Z warning careful number=1 name="a b"\n')
    assert "\x1b" not in output.getvalue()


def test_a_terminal_gets_colours() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    output = Terminal()
    make_logger("auto", "info", output).error("failed", number=1)
    assert output.getvalue().startswith("\x1b[31m")
    assert output.getvalue().endswith(" error   failed\x1b[0m number=1\n")
