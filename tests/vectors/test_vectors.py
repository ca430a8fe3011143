"""Our signing core builds the tokens that Agora's own code built."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from support.decoding import decode, inflate
from token_authority_server.formats import netless
from token_authority_server.formats.packing import FormatError
from vectors import run

HERE = Path(__file__).parent
CASES = {
    f"{suite['suite']}:{case['name']}": case
    for suite in run.suites(HERE)
    for case in suite["cases"]
}
BUILDABLE = {name: case for name, case in CASES.items() if "error" not in case["expected"]}
REFERENCE = json.loads((HERE / "reference_tests.json").read_text(encoding="utf-8"))


def test_there_are_as_many_cases_as_the_suites_say() -> None:
    counted = sum(suite["count"] for suite in run.suites(HERE))
    assert counted == len(CASES) == 204


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_case_builds_to_the_official_token(case: dict[str, Any]) -> None:
    expected = case["expected"]
    if "error" in expected:
        with pytest.raises(FormatError):
            run.build(case)
        return
    token = run.build(case)
    if "inflated_hex" not in expected:
        assert token == expected["token"]
        return
    # Deflate is not portable: compare inflated bytes. Vectors from Python's zlib must be identical.
    assert inflate(token).hex() == expected["inflated_hex"]
    if case.get("source", [""])[0] == "python3":
        assert token == expected["token"]


@pytest.mark.parametrize("case", BUILDABLE.values(), ids=BUILDABLE)
def test_the_decoder_of_the_tests_reads_a_case_as_the_official_one_did(
    case: dict[str, Any],
) -> None:
    fields = decode(run.build(case)).fields
    expected = case["expected"].get("decoded") or case["expected"]["fields"]
    for name in ("app_id", "issue_ts", "expire", "salt", "ts", "ak", "expireAt", "role", "sig"):
        assert fields.get(name) == expected.get(name)


NEGATIVE = [case for case in REFERENCE["negative"] if "app_id" in case["inputs"]]


@pytest.mark.parametrize("case", NEGATIVE, ids=lambda case: case["name"])
def test_what_the_official_code_refuses_is_refused(case: dict[str, Any]) -> None:
    services = [{"type": 4, "privileges": []}] if case["inputs"]["services"] else []
    inputs = {**case["inputs"], "services": services, "issue_ts": 1, "expire": 1, "salt": 1}
    with pytest.raises(FormatError):
        run.build({"inputs": inputs})


def test_the_helper_values_of_the_official_tests() -> None:
    helpers = {row["function"]: row for row in REFERENCE["helpers"]}
    row = helpers["encodeURIComponent"]
    assert netless._query({row["input"]: ""}, [row["input"]]) == row["expected"] + "="
    row = helpers["query of sorted map"]
    for write in (netless._query, netless._plain_query):
        assert write(row["input"], sorted(row["input"])) == row["expected"]
    row = helpers["signed JSON of sorted map"]
    for write in (netless._json, netless._plain_json):
        assert write(row["input"], sorted(row["input"])) == row["expected"]
    row = helpers["md5 hex"]
    assert hashlib.md5(row["input"].encode(), usedforsecurity=False).hexdigest() == row["expected"]


def test_the_runner_prints_a_line_for_each_case(capsys: pytest.CaptureFixture[str]) -> None:
    run.main(HERE)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == len(CASES)
    assert all({"suite", "name"} <= line.keys() for line in lines)
    assert all(("token" in line) != ("error" in line) for line in lines)
