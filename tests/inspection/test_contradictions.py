from dataclasses import replace

import pytest

from inspection import contradictions
from inspection.contradictions import CURES, Spec, check, draw, inspect, search
from inspection.tokens import NOW
from token_authority_server.inspection import Expected, FindingReason

USERS = dict.fromkeys(("rtc", "rtm", "chat", "education"), "7")


def test_the_first_finding_is_a_cause() -> None:
    cures, failure = search(400, seed=7)
    assert not failure
    # Most random cases need several.
    assert cures > 700


def test_the_search_draws_what_it_cures() -> None:
    chance = contradictions.Chance(1)
    drawn = {finding.reason for _ in range(1500) for finding in inspect(draw(chance)).findings}
    assert drawn >= {*CURES} - {
        FindingReason.TRUNCATED,
        FindingReason.DAMAGED,
        FindingReason.CORRUPT,
        FindingReason.URL_ENCODED,
    }


def test_the_search_sees_a_cure_that_does_not_help(monkeypatch: pytest.MonkeyPatch) -> None:
    def useless(spec: Spec, client: Expected) -> contradictions.Case:
        return spec, client

    case = Spec("007", ("rtc",), users=USERS), Expected(channel_name="lesson-2")
    assert check(case) == 1
    monkeypatch.setitem(CURES, FindingReason.WRONG_CHANNEL, useless)
    with pytest.raises(AssertionError, match="WRONG_CHANNEL stays"):
        check(case)


def test_the_search_sees_a_cure_that_brings_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def expiring(spec: Spec, client: Expected) -> contradictions.Case:
        return replace(spec, channel=client.channel_name, ends=(NOW, NOW)), client

    monkeypatch.setitem(CURES, FindingReason.WRONG_CHANNEL, expiring)
    with pytest.raises(AssertionError, match="brings"):
        check((Spec("007", ("rtc",), users=USERS), Expected(channel_name="lesson-2")))


def test_the_command_line_prints_count_and_seed(capsys: pytest.CaptureFixture[str]) -> None:
    assert contradictions.main(["--count", "20", "--seed", "3"]) == 0
    assert capsys.readouterr().out.startswith("seed: 3\ncases: 20\ncures: ")
