"""Explains configuration errors: one line each, with file, line, table, name and advice."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, cast, get_args

from pydantic import ValidationError

from token_authority_server.config.section import Section
from token_authority_server.config.settings import Settings
from token_authority_server.config.toml_lines import Keys, line_of, lines_in
from token_authority_server.config.values import suggestion

# What pydantic adds to the path of a mistake: the key of a table, the form of an identity.
_TAGS: Final = frozenset({"[key]", "[text]", "[table]"})
_MOMENT: Final = "must be a date and time with a time zone, like 2027-01-31T18:00:00Z"
_TABLE: Final = "must be a table: write [ … ] above its keys"
_CURES: Final = {
    "missing": "is missing: add it",
    "tuple_type": "must be a list: write [ … ] around it, or [[ … ]] for a list of tables",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "string_type": "must be text: write it in quotes",
    "string_too_short": "must not be empty",
    "dict_type": _TABLE,
    "model_type": _TABLE,
    "model_attributes_type": _TABLE,
}


class Mistake(NamedTuple):
    """A mistake, and the path of the value."""

    keys: Keys
    problem: str


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
        is_unknown = mistake.problem.startswith(_UNKNOWN)
        for path, variable in self.overrides.items():
            if path == keys[: len(path)] or (is_unknown and path[: len(keys)] == keys):
                return variable
        line = line_of(lines, mistake.keys)
        return f"{self.name}:{line}" if line else self.name


def place_of(document: Mapping[str, Any], keys: Keys) -> tuple[str, Keys]:
    """Names the row that a path leads to, and returns the rest of the path.

    Keys of projects are counted: whatever stands as their id may be a secret by mistake.
    """
    match keys:
        case ("callers", int(row), "grants", int(grant), *rest):
            caller = _item(document, ("callers", row))
            name = _named("grant", _item(caller, ("grants", grant)), grant)
            return f"[[callers.grants]] {name} of {_named('caller', caller, row)}", tuple(rest)
        case ("callers", int(row), *rest):
            caller = _item(document, ("callers", row))
            return f"[[callers]] {_named('caller', caller, row)}", tuple(rest)
        case ("tests", int(row), *rest):
            return f"[[tests]] test {row + 1}", tuple(rest)
        case ("projects", str(project), str(product), str(table), int(row), *rest):
            return f"[[projects.{project}.{product}.{table}]] key {row + 1}", tuple(rest)
        case _:
            return "", keys


def _item(value: Any, keys: Keys) -> Any:
    for key in keys:
        if isinstance(key, int):
            value = value[key]
        elif isinstance(value, Section):
            value = getattr(value, key)
        else:
            value = cast("dict[str, Any]", value).get(key) if isinstance(value, dict) else None
    return value


def _named(noun: str, row: Any, index: int) -> str:
    name = _item(row, ("name",))
    return f"{noun} {name!r}" if isinstance(name, str) and name else f"{noun} {index + 1}"


def mistakes_in(error: ValidationError) -> Iterator[Mistake]:
    """Yields what a validation found."""
    for found in error.errors(include_url=False):
        keys = tuple(part for part in found["loc"] if part not in _TAGS)
        context = found.get("ctx", {})
        yield Mistake(keys, _cure(found["type"], context, found["msg"], keys, found["input"]))


_UNKNOWN: Final = "is not a key"


def _cure(error_type: str, context: Mapping[str, Any], message: str, keys: Keys, value: Any) -> str:
    """Returns what is allowed and what to do, never the value, which may be a secret."""
    match error_type:
        case "value_error":
            cure = message.removeprefix("Value error, ")
        case "extra_forbidden":
            known = _keys_beside(keys)
            cure = suggestion(str(keys[-1]), known) or ": remove it"
            cure = f"{_UNKNOWN}{cure} (known here: {', '.join(known)})"
        case "string_pattern_mismatch" if keys[-1] == "id":
            cure = "must be 1 to 64 letters, digits, '.', '_' and '-'"
        case "string_pattern_mismatch":
            cure = "must be lower-case letters, digits and '-', 63 at most, and start with a letter"
        case "literal_error" | "enum":
            allowed = re.findall("'([^']*)'", context["expected"])
            cure = f"must be one of {', '.join(allowed)}{suggestion(value, allowed)}"
        case "greater_than_equal":
            cure = f"must be at least {context['ge']}"
        case "less_than_equal":
            cure = f"must be at most {context['le']}"
        case _ if error_type.startswith(("date", "timezone")):
            cure = _MOMENT
        case _:
            cure = _CURES.get(error_type, "has a wrong type or value")
    return cure


def _keys_beside(keys: Keys) -> list[str]:
    """Returns the keys that are known where a key stands."""
    section: type[Section] = Settings
    for key in keys[:-1]:
        # A project's name or a list's index does not lead into another section.
        if key in section.model_fields:
            section = section_in(section.model_fields[str(key)].annotation) or section
    return list(section.model_fields)


def section_in(annotation: Any) -> type[Section] | None:
    """Finds the section that a field holds, alone or in a list or table."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    found = [section_in(inner) for inner in get_args(annotation)]
    return next((section for section in found if section), None)
