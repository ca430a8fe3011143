"""Finds tests by names such as `tests/…::test_…`."""

import ast
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]


def source_of(name: str) -> str:
    """Returns the source of a test.

    Raises:
        AssertionError: There is no such test.
    """
    path, _, function = name.partition("::")
    file = ROOT / path
    assert file.is_file(), f"{name}: there is no such file"
    text = file.read_text()
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == function:
            return ast.get_source_segment(text, node) or ""
    raise AssertionError(f"{name}: there is no such test")
