"""Validates projects, callers and grants one at a time.

Validating thousands of them in one call would hold the GIL, and delay all calls in flight.
"""

from typing import Any, cast

from pydantic import ValidationError

from token_authority_server.config.callers import CallerSettings, GrantSettings
from token_authority_server.config.files import Sources
from token_authority_server.config.projects import ProjectSettings
from token_authority_server.config.section import Section


def validate_rows(document: dict[str, Any], sources: Sources) -> None:
    """Replaces each valid row (a project, caller or grant) of a document by its settings.

    An invalid row stays as it is: validating the whole document reports its mistakes.
    """
    projects = document.get("projects")
    if isinstance(projects, dict):
        projects = cast("dict[str, Any]", projects)
        for name, row in projects.items():
            projects[name] = _validated(ProjectSettings, row, sources)
    for number, caller in enumerate(callers := _rows(document, "callers")):
        grants = _rows(caller, "grants")
        for index, grant in enumerate(grants):
            grants[index] = _validated(GrantSettings, grant, sources)
        callers[number] = _validated(CallerSettings, caller, sources)


def _rows(table: Any, key: str) -> list[Any]:
    """Returns a list of tables; an empty list if there is something else."""
    rows: Any = cast("dict[str, Any]", table).get(key) if isinstance(table, dict) else None
    return cast("Any", rows) if isinstance(rows, list) else []


def _validated(model: type[Section], row: Any, sources: Sources) -> Any:
    if not isinstance(row, dict):
        return row
    try:
        return model.model_validate(row, context=sources)
    except ValidationError:
        return row  # pyright: ignore[reportUnknownVariableType]
