"""Explains configuration errors: one line each, with file, line, table, name and advice."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from token_authority_server.config.section import Section
from token_authority_server.config.toml_lines import Keys, line_of, lines_in
from token_authority_server.config.validation_errors import UNKNOWN, Mistake


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a document comes from."""

    name: str
    """The path of the file, or the command that made the document."""
    document: Mapping[str, Any]
    text: str = ""
    """The TOML text; "" if there is none."""
    overrides: Mapping[tuple[str, ...], str] = field(default_factory=dict[tuple[str, ...], str])
    """The variables of the environment that replaced values, by the path of the value."""

    def explain(self, mistakes: Iterable[Mistake]) -> Iterator[str]:
        """Yields a line for each mistake; the same line once."""
        lines = dict(lines_in(self.text))
        explained: dict[str, None] = {}
        for mistake in mistakes:
            place, rest = place_of(self.document, mistake.keys)
            key = ".".join(map(str, rest))
            source = self._source(mistake, lines)
            where = ": ".join(part for part in (source, place, key) if part)
            explained.update({f"{where}: {text}": None for text in mistake.problem.splitlines()})
        yield from explained

    def _source(self, mistake: Mistake, lines: Mapping[Keys, int]) -> str:
        keys = tuple(map(str, mistake.keys))
        is_unknown = mistake.problem.startswith(UNKNOWN)
        for path, variable in self.overrides.items():
            if path == keys[: len(path)] or (is_unknown and path[: len(keys)] == keys):
                return variable
        line = line_of(lines, mistake.keys)
        return f"{self.name}:{line}" if line else self.name


def place_of(document: Mapping[str, Any], keys: Keys) -> tuple[str, Keys]:
    """Names the row that a path leads to, and returns the rest of the path.

    Keys of projects are counted: their id may be a secret by mistake.
    """
    match keys:
        case ("callers", int(row), "grants", int(grant), *rest):
            caller = value_at(document, ("callers", row))
            name = _named("grant", value_at(caller, ("grants", grant)), grant)
            return f"[[callers.grants]] {name} of {_named('caller', caller, row)}", tuple(rest)
        case ("callers", int(row), *rest):
            caller = value_at(document, ("callers", row))
            return f"[[callers]] {_named('caller', caller, row)}", tuple(rest)
        case ("tests", int(row), *rest):
            return f"[[tests]] test {row + 1}", tuple(rest)
        case ("denials", int(row), *rest):
            return f"[[denials]] denial {row + 1}", tuple(rest)
        case ("projects", str(project), str(product), str(table), int(row), *rest):
            return f"[[projects.{project}.{product}.{table}]] key {row + 1}", tuple(rest)
        case _:
            return "", keys


def value_at(value: Any, keys: Keys) -> Any:
    """Returns the value that a path leads to in tables; None if there is none."""
    for key in keys:
        if isinstance(key, int):
            value = value[key]
        elif isinstance(value, Section):
            value = getattr(value, key)
        else:
            value = cast("dict[str, Any]", value).get(key) if isinstance(value, dict) else None
    return value


def _named(noun: str, row: Any, index: int) -> str:
    name = value_at(row, ("name",))
    return f"{noun} {name!r}" if isinstance(name, str) and name else f"{noun} {index + 1}"
