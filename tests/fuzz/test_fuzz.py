"""A short run of the fuzzer (`make fuzz`), and proof that it finds what it looks for."""

import random

import pytest

from fuzz import machine, run
from fuzz.mutating import mutated
from fuzz.outcomes import Target, check_shown
from support.keys import CERTIFICATE


def test_no_target_has_a_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    # Not how long it takes, which depends on what else the machine does.
    monkeypatch.setattr(run, "MAX_SECONDS", 60)
    results = dict(run.fuzz_all(4_000, 1))
    assert [result.defect for result in results.values() if result.defect] == []
    assert len(results) > 20
    assert sum(result.inputs for result in results.values()) >= 4_000
    # Most parsers let something pass, or it would be no test of what comes after parsing.
    assert sum(len(result.outcomes) > 1 for result in results.values()) > 18


async def test_a_live_server_does_what_its_model_does() -> None:
    assert "40 steps" in await machine.walk(40, 3)


def test_a_defect_is_found_and_shown() -> None:
    def attempt(data: bytes) -> str:
        return str(int(data))

    target = Target("numbers", lambda chance: mutated([b"12345"], chance), attempt, 1)
    result = run.fuzz(target, 1000, 1)
    assert "numbers: Traceback" in result.defect
    assert "ValueError: invalid literal" in result.defect
    assert 0 < result.inputs < 1000


def test_a_secret_in_a_text_is_found() -> None:
    check_shown("a text")
    with pytest.raises(AssertionError):
        check_shown(f"a text with {CERTIFICATE}")


def test_a_seed_makes_the_same_inputs() -> None:
    one, same, other = (
        [mutated([b"abc", b"{}"], chance) for _ in range(50)]
        for chance in (random.Random(1), random.Random(1), random.Random(2))  # noqa: S311
    )
    assert one == same != other
