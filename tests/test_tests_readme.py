"""tests/README.md lists each file of the tests once."""

import re
from collections import Counter
from pathlib import Path
from typing import Final

TESTS: Final = Path(__file__).parent
ROWS: Final = re.findall(
    r"^\| .* \| (.*) \|$", (TESTS / "README.md").read_text(), flags=re.MULTILINE
)
LISTED: Final = re.findall(r"`([\w/]+\.py)`", "\n".join(ROWS))


def test_each_file_is_listed() -> None:
    files = {
        path.relative_to(TESTS).as_posix()
        for path in TESTS.rglob("*.py")
        if "node_modules" not in path.parts
    }
    assert files - set(LISTED) == set(), "add them to tests/README.md"
    assert set(LISTED) - files == set(), "remove them from tests/README.md"


def test_no_file_is_listed_twice() -> None:
    assert [file for file, count in Counter(LISTED).items() if count > 1] == []
