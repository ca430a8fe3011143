"""Finds names that refer to nothing, whatever else is wrong with the document."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from token_authority_server.config.cures import Mistake
from token_authority_server.config.toml_lines import Keys
from token_authority_server.config.values import suggestion


def unknown_names(document: Mapping[str, Any]) -> Iterator[Mistake]:
    """Yields the projects of grants and the callers of tests that do not exist.

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
            (("callers", row, "default_project"), caller.get("default_project"))
        ]
        named += [
            (("callers", row, "grants", index, "project"), grant.get("project"))
            for index, grant in enumerate(_rows(caller, "grants"))
        ]
        for keys, name in named:
            if isinstance(name, str) and name and name not in known:
                yield Mistake(keys, f"there is no project {name!r}{suggestion(name, known)}")


def _rows(table: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """Returns a list of tables; what is no table is an empty one."""
    rows: Any = table.get(key)
    if not isinstance(rows, list):
        return []
    return [row if isinstance(row, dict) else {} for row in cast("Any", rows)]
