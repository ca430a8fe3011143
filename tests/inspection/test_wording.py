import pytest

from token_authority_server.inspection import wording


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "0 s"),
        (1, "1 ms"),
        (999, "999 ms"),
        (1000, "1 s"),
        (1500, "1 s"),
        (-90_000, "1 m 30 s"),
        (3_600_000, "1 h"),
        (3_605_000, "1 h 5 s"),
        (90_061_001, "1 d 1 h"),
        (1_700_000_000_000, "53 y 330 d"),
        (10**40, "317097919837645865043125317097 y 335 d"),
    ],
)
def test_a_span_is_written_with_its_two_largest_units(ms: int, text: str) -> None:
    assert wording.span(ms) == text


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "1970-01-01 00:00:00 UTC"),
        (1_700_000_000_999, "2023-11-14 22:13:20 UTC"),
        (-1, "a time before 1970"),
        (wording.MAX_MS, "9999-12-31 23:59:59 UTC"),
        (wording.MAX_MS + 1, "a time after the year 9999"),
        (10**40, "a time after the year 9999"),
    ],
)
def test_every_moment_can_be_written(ms: int, text: str) -> None:
    assert wording.moment(ms) == text


def test_an_end_is_stated_relative_to_the_time_of_issue() -> None:
    assert wording.end(5000, None) == "until 1970-01-01 00:00:05 UTC"
    assert wording.end(5000, 2000) == "until 1970-01-01 00:00:05 UTC (3 s after issue)"
    assert wording.end(2000, 5000) == "until 1970-01-01 00:00:02 UTC (3 s before issue)"


def test_quotes_show_what_cannot_be_seen_and_end() -> None:
    assert wording.quoted(" a\n") == "' a\\n'"
    assert wording.quoted("\udc80") == "'\\udc80'"
    assert wording.quoted("x" * 81) == f"'{'x' * 80}'…"
