"""The guard of the hot paths notices one that executes a tenth more (`make bench-check`)."""

import pytest

from bench.counting import Discard, compare, count
from bench.hot_paths import plain
from token_authority_server.formats.fingerprint import fingerprint

KNOWN = {"sign rtc": {"instructions": 1000, "calls": 100}}


async def test_a_path_that_executes_a_tenth_more_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = plain(Discard()).sign("rtc")
    before = await count(path)

    def slower(token: str) -> str:
        # Three instructions each time.
        for _ in range(before["instructions"] // 10 // 3):
            pass
        return fingerprint(token)

    monkeypatch.setattr("token_authority_server.authority.fingerprint", slower)
    (problem,) = compare({"sign rtc": before}, {"sign rtc": await count(path)})
    assert problem.startswith("sign rtc: ")
    assert " instructions, +" in problem


async def test_counts_are_the_same_every_time() -> None:
    path = plain(Discard()).sign("rtc")
    assert await count(path) == await count(path)


@pytest.mark.parametrize(
    ("instructions", "calls", "problems"),
    [
        (900, 90, []),
        (1050, 105, []),
        (1051, 100, ["sign rtc: 1051 instructions, +5.1% (was 1000)"]),
        (1000, 110, ["sign rtc: 110 calls, +10.0% (was 100)"]),
    ],
)
def test_counts_may_grow_by_5_percent(instructions: int, calls: int, problems: list[str]) -> None:
    found = {"sign rtc": {"instructions": instructions, "calls": calls}}
    assert compare(KNOWN, found) == problems


def test_a_path_without_known_counts_is_a_problem_and_so_is_one_that_is_gone() -> None:
    found = {"sign rtm": KNOWN["sign rtc"]}
    assert compare(KNOWN, found) == [
        "sign rtm: not in counts.json",
        "sign rtc: no longer counted",
    ]
