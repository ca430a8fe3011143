"""README.md describes the conformance vectors completely and correctly."""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
README = (HERE / "README.md").read_text(encoding="utf-8")
FILES = {path: json.loads(path.read_text(encoding="utf-8")) for path in sorted(HERE.glob("*.json"))}
CASES = [case for suite in FILES.values() for case in suite["cases"]]


def table(heading: str) -> set[str]:
    """Returns the names in the first column of the table under a heading."""
    section = README.split(f"\n### {heading}\n")[1].partition("\n#")[0]
    return set(re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE))


def inputs() -> list[dict[str, Any]]:
    return [case["inputs"] for case in CASES]


def services() -> Iterator[dict[str, Any]]:
    for given in inputs():
        yield from given.get("services", [])


def permissions() -> Iterator[dict[str, Any]]:
    for given in [*inputs(), *services()]:
        yield from given.get("permissions", [])


def expected() -> list[dict[str, Any]]:
    return [case["expected"] for case in CASES]


USED = {
    "A file": [*FILES.values()],
    "A case": CASES,
    "inputs": inputs(),
    "A service in inputs": [*services()],
    "A permission in inputs": [*permissions()],
    "expected": expected(),
    "expected.decoded": [given["decoded"] for given in expected() if "decoded" in given],
}


@pytest.mark.parametrize("heading", USED)
def test_every_field_is_described_and_no_other(heading: str) -> None:
    assert table(heading) == {name for given in USED[heading] for name in given}


def test_every_builder_is_described_and_no_other() -> None:
    assert table("api") == {case["api"] for case in CASES if "api" in case}


def test_every_error_is_named() -> None:
    errors = {given["error"] for given in expected() if "error" in given}
    (row,) = re.findall(r"^\| `error` \| (.*) \|$", README, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", row)) == errors


def test_every_file_is_listed_as_it_is() -> None:
    rows = [
        (
            path.name,
            suite["suite"],
            len(suite["cases"]),
            sum("error" in case["expected"] for case in suite["cases"]),
            hashlib.sha256(path.read_bytes()).hexdigest()[:16],
        )
        for path, suite in FILES.items()
    ]
    listed = re.findall(
        r"^\| \[(\S+)\]\(\1\) \| `(\S+)` \| (\d+) \| (\d+) \| `(\w+)` \|$", README, re.MULTILINE
    )
    # After an intended change, update this table and the version.
    assert listed == [tuple(map(str, row)) for row in rows]
    assert f"\n{len(CASES)} cases in all." in README


def test_the_version_begins_with_the_format_of_the_files() -> None:
    match = re.match(r"# Conformance vectors, version (\d+)\.\d+\.\d+\n", README)
    assert match
    assert {suite["format_version"] for suite in FILES.values()} == {int(match[1])}
