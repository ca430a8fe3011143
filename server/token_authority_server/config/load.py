"""Reads the file, lets the environment override it, and explains what is wrong with either."""

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast, get_args

from pydantic import ValidationError

from token_authority_server.config.models import Section, Settings
from token_authority_server.config.values import SecretSources

ENVIRONMENT_PREFIX: Final = "TOKEN_AUTHORITY__"
"""`TOKEN_AUTHORITY__SERVER__DRAIN=5s` overrides `drain` in `[server]`."""


class ConfigError(Exception):
    """A configuration that cannot be used: one line for each mistake."""


def load(path: Path, environment: Mapping[str, str]) -> Settings:
    """Reads a file, applies the overrides of the environment, and fetches the secrets.

    Raises:
        ConfigError: With one line for each mistake.
    """
    try:
        text = path.read_bytes().decode()
        document = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8 text: save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is not valid TOML: {error}") from None
    sources = dict(_override(document, environment))
    context = SecretSources(path.parent, environment)
    try:
        return Settings.model_validate(document, context=context)
    except ValidationError as error:
        raise ConfigError("\n".join(explain(error, path, sources))) from None


def _override(
    document: dict[str, Any], environment: Mapping[str, str]
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Writes the environment's values into the document; yields where each one came from."""
    for name, text in sorted(environment.items()):
        if not name.startswith(ENVIRONMENT_PREFIX):
            continue
        *tables, key = keys = name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")
        table = document
        for part in tables:
            inner: Any = table.setdefault(part, {})
            if not isinstance(inner, dict):
                raise ConfigError(f"{name}: {part!r} is not a table: correct the name")
            table = cast("dict[str, Any]", inner)
        table[key] = _toml_value(text)
        yield tuple(keys), name


def _toml_value(text: str) -> Any:
    """Reads a value as TOML would (`true`, `5`, `["a", "b"]`), and anything else as plain text."""
    try:
        document = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    # More keys than one: a line break in the text, which is no TOML value then.
    return document["value"] if len(document) == 1 else text


def explain(
    error: ValidationError, origin: object, sources: Mapping[tuple[str, ...], str]
) -> Iterator[str]:
    """Yields one line for each mistake: where it stands, its key, and what to do.

    Args:
        error: What pydantic found.
        origin: Where the values came from: a file.
        sources: And those of the environment: keys -> the variable's name.
    """
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        keys = tuple(str(part) for part in problem["loc"] if part != "[key]")
        source = origin
        for overridden, variable in sources.items():
            if overridden[: len(keys)] == keys[: len(overridden)]:
                source = variable
        yield f"{source}: {'.'.join(keys)}: {_cure(problem['type'], problem['msg'], keys)}"


def _cure(kind: str, message: str, keys: tuple[str, ...]) -> str:
    match kind:
        case "missing":
            return "is missing: add it"
        case "extra_forbidden":
            known = _keys_beside(keys)
            close = difflib.get_close_matches(keys[-1], known, n=1)
            cure = f"did you mean {close[0]!r}?" if close else "remove it"
            return f"is not a key: {cure} (known here: {', '.join(known)})"
        case "string_pattern_mismatch" if keys[0] == "projects" and len(keys) == 2:
            return "must be lower-case letters, digits and '-', 63 at most, and start with a letter"
        case "string_pattern_mismatch" if keys[-1] == "id":
            return "must be 1 to 64 letters, digits, '.', '_' and '-'"
        case _:
            return message.removeprefix("Value error, ")


def _keys_beside(keys: tuple[str, ...]) -> list[str]:
    """Returns the keys that are known where a key stands."""
    section: type[Section] = Settings
    for key in keys[:-1]:
        # A project's name or a list's index does not lead into another section.
        if key in section.model_fields:
            section = _section_in(section.model_fields[key].annotation) or section
    return list(section.model_fields)


def _section_in(annotation: Any) -> type[Section] | None:
    """Finds the section that a field holds, alone or in a list or table."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    found = [_section_in(inner) for inner in get_args(annotation)]
    return next((section for section in found if section), None)
