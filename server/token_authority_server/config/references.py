"""Finds references to undefined projects and callers, also in an invalid document."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from token_authority_server.config.toml_lines import Keys
from token_authority_server.config.validation_errors import Mistake
from token_authority_server.config.values import suggestion


def unknown_names(document: Mapping[str, Any]) -> Iterator[Mistake]:
    """Yields a mistake for each undefined project of a caller or grant, and caller of a test.

    Args:
        document: The tables as TOML has them, valid or not.
    """
    projects = document.get("projects")
    callers = _rows(document, "callers")
    if isinstance(projects, dict) and projects:
        yield from _unknown_projects(callers, cast("dict[str, Any]", projects))
    names = [name for caller in callers if isinstance(name := caller.get("name"), str)]
    for row, test in enumerate(_rows(document, "tests")):
        caller_name = test.get("caller")
        if isinstance(caller_name, str) and caller_name not in names:
            problem = f"there is no caller {caller_name!r}{suggestion(caller_name, names)}"
            yield Mistake(("tests", row, "caller"), problem)


def _unknown_projects(callers: list[dict[str, Any]], known: Mapping[str, Any]) -> Iterator[Mistake]:
    for row, caller in enumerate(callers):
        named: list[tuple[Keys, Any]] = [
            # "" is the default: none.
            (("callers", row, "default_project"), caller.get("default_project") or None)
        ]
        named += [
            (("callers", row, "grants", index, "project"), grant.get("project"))
            for index, grant in enumerate(_rows(caller, "grants"))
        ]
        for keys, name in named:
            if isinstance(name, str) and name not in known:
                yield Mistake(keys, f"there is no project {name!r}{suggestion(name, known)}")


def _rows(table: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """Returns a list of tables, with {} for an element that is not one; [] if it is not a list."""
    rows: Any = table.get(key)
    if not isinstance(rows, list):
        return []
    return [row if isinstance(row, dict) else {} for row in cast("Any", rows)]
