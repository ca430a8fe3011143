from pathlib import Path

import pytest

import table
from run import POLYGLOT, languages
from table import COLUMNS, Row


def row(**cells: str) -> Row:
    return {**dict.fromkeys(COLUMNS, "✓"), "toolchain": "Go 1.26", **cells}


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "README.md"
    path.write_text(
        "before | after\n<!-- make polyglot writes this table -->\n"
        "<!-- end of the table -->\nrest\n"
    )
    return path


def test_a_written_table_is_read_back_and_the_text_around_it_stays(document: Path) -> None:
    assert table.read(document) == {}
    for _ in range(2):
        table.write(document, {"rust": row(TLS="✗"), "go": row()})
    assert table.read(document) == {
        "go": row(language="[go](go)"),
        "rust": row(language="[rust](rust)", TLS="✗"),
    }
    lines = document.read_text().splitlines()
    assert (lines[0], lines[-1], len(lines)) == ("before | after", "rest", 8)


def test_a_file_without_markers_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text("text")
    with pytest.raises(ValueError, match="has no <!-- make polyglot"):
        table.write(path, {})
    assert path.read_text() == "text"


def test_a_row_of_other_columns_is_refused(document: Path) -> None:
    table.write(document, {"go": row()})
    document.write_text(document.read_text().replace("| ✓ |\n", "|\n"))
    with pytest.raises(ValueError, match="a row with 10 cells"):
        table.read(document)


@pytest.mark.parametrize("cell", ["✗", "-", "our decoder"])
def test_what_passed_and_does_not_is_worse(cell: str) -> None:
    before = {"go": row(**{"verified by": "✓ go-tokenbuilder v1.3.0"})}
    after = {"go": row(**{"verified by": cell})}
    assert table.regressions(before, after) == [
        f"go: verified by was '✓ go-tokenbuilder v1.3.0' and is {cell!r}"
    ]


def test_a_language_that_is_gone_is_worse() -> None:
    assert table.regressions({"go": row(language="[go](go)")}, {})[0] == (
        "go: generated was '✓' and is None"
    )


def test_another_toolchain_and_what_never_passed_are_not_worse() -> None:
    before = {"go": row(TLS="-", built="syntax-checked")}
    after = {"go": row(TLS="✗", built="✗", toolchain="Go 1.27", **{"verified by": "✓ new"})}
    assert table.regressions(before, after) == []


def test_the_table_has_every_language() -> None:
    assert sorted(table.read(POLYGLOT / "README.md")) == languages(POLYGLOT)
