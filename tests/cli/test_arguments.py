from datetime import timedelta

import pytest

from token_authority_cli.arguments import duration, in_words


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("1h30m", 5400), ("250ms", 0.25), ("7d", 604800), ("0s", 0)]
)
def test_lifetimes(text: str, seconds: float) -> None:
    assert duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (0.001, "1 ms"), (90, "1 m 30 s"), (86400, "1 d"), (90061, "1 d 1 h")],
)
def test_lifetimes_in_words(seconds: float, words: str) -> None:
    assert in_words(timedelta(seconds=seconds)) == words
