"""The mutants are single changes, and leave alone what no test could notice."""

import ast

import pytest

from mutants.mutations import mutants

CHANGES = {
    "a < b": ["a <= b"],
    "a in b": ["a not in b"],
    "a and not b": ["a or (not b)", "a and (b)"],
    "a + 1": ["a - 1", "a + (2)"],
    "a if b else c": ["a", "c"],
    "a is None": ["a is not None"],
    "True": ["False"],
    "'text'": ["'tex~'"],
    "a(1)": ["a((2))"],
}


def changed(source: str) -> list[str]:
    """Returns every mutant, written as Python itself would."""
    return [ast.unparse(ast.parse(mutant.source)) for mutant in mutants(source)]


@pytest.mark.parametrize("expression", CHANGES)
def test_an_expression_has_its_mutants(expression: str) -> None:
    expected = [ast.unparse(ast.parse(f"x = {one}")) for one in CHANGES[expression]]
    assert changed(f"x = {expression}") == expected


def test_statements_have_their_mutants() -> None:
    source = "def f(a):\n    for b in a:\n        g()\n        break\n    return a\n"
    assert changed(source) == [
        ast.unparse(ast.parse(source.replace(*change)))
        for change in (("g()", "pass"), ("break", "continue"), ("return a", "return None"))
    ]


def test_docstrings_annotations_and_imports_have_none() -> None:
    source = '"""Text."""\n\nimport os\n\n\ndef f(a: "int") -> "str":\n    """Text."""\n'
    assert changed(source) == []


def test_a_mutant_tells_where_it_is() -> None:
    (mutant,) = mutants("\n\nü = a == b\n")
    assert (mutant.line, mutant.before, mutant.after) == (3, "a == b", "(a != b)")
    assert mutant.source == "\n\nü = (a != b)\n"
