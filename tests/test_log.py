import io
import json

import pytest

from token_authority_server.log import LogFormat, make_logger


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


def test_what_is_less_severe_than_the_level_is_not_written() -> None:
    output = io.StringIO()
    make_logger("json", "warning", output).info("issued")
    assert not output.getvalue()
