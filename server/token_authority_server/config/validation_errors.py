"""Converts pydantic's errors to what is allowed and what to do; never the value."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple, get_args

from pydantic import ValidationError

from token_authority_server.config.section import Section
from token_authority_server.config.toml_lines import Keys
from token_authority_server.config.values import suggestion

UNKNOWN: Final = "is not a key"
"""The beginning of the text about an unknown key."""
# Parts that pydantic adds to the path of a mistake: the key of a table, the form of an identity.
_TAGS: Final = frozenset({"[key]", "[text]", "[table]"})
_MOMENT: Final = "must be a date and time with a time zone, like 2027-01-31T18:00:00Z"
_TABLE: Final = "must be a table: write [ … ] above its keys"
_PROBLEMS: Final = {
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


def mistakes_in(error: ValidationError, section: type[Section]) -> Iterator[Mistake]:
    """Yields the mistakes that the validation of a section found."""
    for found in error.errors(include_url=False):
        keys = tuple(part for part in found["loc"] if part not in _TAGS)
        context = found.get("ctx", {})
        known = _keys_beside(keys, section)
        yield Mistake(
            keys, _problem(found["type"], context, found["msg"], keys, found["input"], known)
        )


def _problem(
    error_type: str,
    context: Mapping[str, Any],
    message: str,
    keys: Keys,
    value: Any,
    known: list[str],
) -> str:
    """Returns what is allowed and what to do, never the value, which may be a secret."""
    match error_type:
        case "value_error":
            problem = message.removeprefix("Value error, ")
        case "extra_forbidden":
            problem = suggestion(str(keys[-1]), known) or ": remove it"
            problem = f"{UNKNOWN}{problem} (known here: {', '.join(known)})"
        case "string_pattern_mismatch" if keys[-1] == "id":
            problem = "must be 1 to 64 letters, digits, '.', '_' and '-'"
        case "string_pattern_mismatch":
            problem = (
                "must be lower-case letters, digits and '-', 63 at most, and start with a letter"
            )
        case "literal_error" | "enum":
            allowed = re.findall("'([^']*)'", context["expected"])
            problem = f"must be one of {', '.join(allowed)}{suggestion(value, allowed)}"
        case "greater_than_equal":
            problem = f"must be at least {context['ge']}"
        case "less_than_equal":
            problem = f"must be at most {context['le']}"
        case _ if error_type.startswith(("date", "timezone")):
            problem = _MOMENT
        case _:
            problem = _PROBLEMS.get(error_type, "has a wrong type or value")
    return problem


def _keys_beside(keys: Keys, section: type[Section]) -> list[str]:
    """Returns the keys that the section of a key may contain."""
    for key in keys[:-1]:
        # A project's name or a list's index does not lead into another section.
        if key in section.model_fields:
            section = section_in(section.model_fields[str(key)].annotation) or section
    return list(section.model_fields)


def section_in(annotation: Any) -> type[Section] | None:
    """Finds the section that is a field's type, alone or in a list or table."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    found = [section_in(inner) for inner in get_args(annotation)]
    return next((section for section in found if section), None)
