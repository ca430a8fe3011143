from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from typing import Any

import pytest

from inspection.tokens import DAY, SECRETS, inspect, reasons, t007, whiteboard
from inspection.trials import HITS, MISSES, SAYINGS, TRIALS, Trial
from support.keys import APP_ID, NOW_MS
from token_authority_server.inspection import FindingReason, Inspection, Severity
from token_authority_server.inspection.diagnose import CHECKS, LAST_CHECKS

NUMBERED = [
    pytest.param(reason, hit, miss, id=f"{reason}-{number}")
    for reason, rows in groupby(TRIALS, key=lambda row: row[0])
    for number, (_, hit, miss) in enumerate(rows)
]


@pytest.mark.parametrize(("reason", "hit", "miss"), NUMBERED)
def test_a_token_triggers_a_finding_and_one_that_hardly_differs_does_not(
    reason: FindingReason, hit: Trial, miss: Trial
) -> None:
    assert reason in reasons(hit.run())
    assert reason not in reasons(miss.run())


@pytest.mark.parametrize(("reason", "miss"), MISSES)
def test_a_finding_stays_away_where_another_says_it(reason: FindingReason, miss: Trial) -> None:
    assert reason not in reasons(miss.run())


@pytest.mark.parametrize(("reason", "hit"), HITS)
def test_a_finding_comes_by_whatever_way(reason: FindingReason, hit: Trial) -> None:
    assert reason in reasons(hit.run())


@pytest.mark.parametrize(("reason", "trial", "words"), SAYINGS)
def test_what_a_finding_says(reason: FindingReason, trial: Trial, words: str) -> None:
    (finding,) = [finding for finding in trial.run().findings if finding.reason == reason]
    assert words in f"{finding.problem} {finding.advice}"


def test_where_all_is_known_no_more_is_asked_for() -> None:
    use = {"app_id": APP_ID, "channel_name": "lesson-1", "uid": 7, "error_code": 110}
    (finding,) = Trial(t007(), use).run().findings
    assert finding.problem.endswith("nothing in it explains that.")


def test_where_no_signature_was_checked_the_advice_is_to_ask_a_server_with_the_keys() -> None:
    (finding,) = inspect(t007(), keys=(), error_code=110).findings
    assert "Inspect it with a server that has the project's keys;" in finding.advice
    (finding,) = inspect(t007(), error_code=110).findings
    assert "Inspect it with" not in finding.advice
    assert "Compare App ID, channel and user" in finding.advice


def test_the_advice_for_an_expired_token_depends_on_its_product() -> None:
    now_ms = NOW_MS + DAY * 1000
    assert "renewToken" in inspect(t007(), now_ms=now_ms).findings[0].advice
    assert "renewToken" not in inspect(whiteboard(), now_ms=now_ms).findings[0].advice


@pytest.mark.parametrize(
    ("error", "first"),
    [
        ("", FindingReason.WRONG_APP_ID),
        ("110", FindingReason.WRONG_APP_ID),
        ("dynamic key or token timeout", FindingReason.EXPIRED),
        ("119", FindingReason.CERTIFICATE_NOT_ENABLED),
        ("dynamic use static key", FindingReason.TOKEN_NOT_SENT),
        ("101", FindingReason.WRONG_APP_ID),
    ],
)
def test_the_finding_that_explains_the_error_comes_first(error: str, first: FindingReason) -> None:
    use: dict[str, Any] = {"app_id": "0" * 32, "channel_name": "lesson-2", "uid": 8, "error": error}
    findings = inspect(t007(), now_ms=NOW_MS + DAY * 1000, **use).findings
    assert findings[0].reason is first
    assert {FindingReason.WRONG_CHANNEL, FindingReason.WRONG_USER, FindingReason.EXPIRED} <= {
        finding.reason for finding in findings
    }


def test_every_reason_is_looked_for_once_and_tried() -> None:
    looked_for = Counter([reason for reason, _, _ in (*CHECKS, *LAST_CHECKS)])
    assert looked_for == Counter(FindingReason)
    assert {reason for reason, _, _ in TRIALS} == set(FindingReason)
    assert [reason for reason, _ in groupby(TRIALS, key=lambda row: row[0])] == list(FindingReason)


def test_reasons_are_their_own_names_in_upper_snake_case() -> None:
    for reason in FindingReason:
        assert reason.value == reason.name == reason.name.upper()


def inspections() -> Iterator[tuple[str, Inspection]]:
    for _, hit, miss in TRIALS:
        yield hit.text, hit.run()
        yield miss.text, miss.run()


def test_no_finding_holds_a_token_a_signature_or_a_secret() -> None:
    for text, inspection in inspections():
        shown = repr(inspection)
        for secret in SECRETS:
            assert secret not in shown
        if len(text) > 50:
            assert text[3:50] not in shown


def test_findings_are_sentences_of_bounded_length_the_worst_first() -> None:
    for _, inspection in inspections():
        for finding in inspection.findings:
            for sentence in (finding.problem, finding.advice):
                assert sentence[0].isupper()
                assert sentence.endswith(".")
                assert "{" not in sentence
                assert len(sentence) < 600
        severities = [finding.severity for finding in inspection.findings]
        assert severities == sorted(severities, key=list(Severity).index)


@pytest.mark.parametrize("token", [t007(), whiteboard()])
def test_a_token_without_fault_has_no_findings(token: str) -> None:
    assert inspect(token).findings == ()


def test_names_are_quoted_and_cut() -> None:
    (finding,) = inspect(t007(), channel_name="lesson-1 \n" + "x" * 1000).findings
    assert finding.problem.startswith("The client joined the channel 'lesson-1 \\nxxx")
    assert finding.problem.endswith("x'…; the token is for 'lesson-1'.")
    assert len(finding.problem) < 200
