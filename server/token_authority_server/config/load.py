"""Reads the file, lets the environment override it, and explains what is wrong with either."""

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast, get_args

from pydantic import ValidationError

from token_authority_server.config.section import Section
from token_authority_server.config.settings import Settings
from token_authority_server.config.values import Sources, signature

ENVIRONMENT_PREFIX: Final = "TOKEN_AUTHORITY__"
"""`TOKEN_AUTHORITY__SERVER__DRAIN=5s` overrides `drain` in `[server]`."""


class ConfigError(Exception):
    """A configuration that cannot be used: one line for each mistake."""


def load(path: Path, environment: Mapping[str, str]) -> Settings:
    """Reads a file, applies the overrides of the environment, and fetches the secrets.

    Raises:
        ConfigError: With one line for each mistake.
    """
    return ConfigFile(path, environment).load()


class ConfigFile:
    """A file that may change while the server runs, with those that it names.

    Args:
        path: The TOML file.
        environment: Variables with overrides, and with secrets.
    """

    def __init__(self, path: Path, environment: Mapping[str, str]) -> None:
        self.path = path
        self._environment = environment
        self.files: frozenset[Path] = frozenset((path,))
        """What the last `load` read or tried to, whether or not it came to an end."""
        self.seen: dict[Path, Any] = {}
        """The signature of those files, of before they were read."""

    def load(self) -> Settings:
        """Reads all of it; see `load`."""
        sources = Sources(self.path.parent, self._environment)
        before = signature(self.files)
        try:
            return _settings(_document(self.path), str(self.path), sources)
        finally:
            self.files = frozenset((self.path, *sources.files))
            self.seen = {**sources.files, **before}
            self.seen = {path: self.seen[path] for path in self.files}


def _document(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8 text: save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is not valid TOML: {error}") from None
    except (ValueError, RecursionError):
        raise ConfigError(f"{path}: a number is too long, or lists are too deep") from None


def settings_of(
    document: dict[str, Any], origin: str, folder: Path, environment: Mapping[str, str]
) -> Settings:
    """Makes settings of a document and the environment's overrides.

    Args:
        document: The tables, as TOML has them.
        origin: What to call it in messages.
        folder: What the paths of secrets are relative to.
        environment: Variables with overrides, and with secrets.

    Raises:
        ConfigError: With one line for each mistake.
    """
    return _settings(document, origin, Sources(folder, environment))


def _settings(document: dict[str, Any], origin: str, sources: Sources) -> Settings:
    overrides = dict(_override(document, sources.environment))
    try:
        return Settings.model_validate(document, context=sources)
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(error, origin, overrides))) from None


def _override(
    document: dict[str, Any], environment: Mapping[str, str]
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Writes the environment's values into the document; yields where each one came from."""
    for name, text in sorted(environment.items()):
        if not name.startswith(ENVIRONMENT_PREFIX):
            if "__" in name and name.upper().startswith(ENVIRONMENT_PREFIX.rstrip("_")):
                raise ConfigError(f"{name}: begins almost like {ENVIRONMENT_PREFIX}: correct it")
            continue
        keys = tuple(name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__"))
        if not _is_setting(keys):
            raise ConfigError(f"{name}: {'.'.join(keys[:-1])} is not a table: correct the name")
        table = document
        for part in keys[:-1]:
            inner: Any = table.setdefault(part, {})
            if not isinstance(inner, dict):
                break  # A mistake of the file, which validation will find.
            table = cast("dict[str, Any]", inner)
        else:
            table[keys[-1]] = _toml_value(text)
            yield keys, name


def _is_setting(keys: tuple[str, ...]) -> bool:
    """Whether all but the last key lead to tables."""
    section: type[Section] | None = Settings
    for key in keys[:-1]:
        if section and key in section.model_fields:
            section = _section_in(section.model_fields[key].annotation)
    return section is not None


def _toml_value(text: str) -> Any:
    """Reads a value as TOML would (`true`, `5`, `["a", "b"]`), and anything else as plain text."""
    try:
        document = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    # More keys than one: a line break in the text, which is no TOML value then.
    return document["value"] if len(document) == 1 else text


def _explain(
    error: ValidationError, origin: str, sources: Mapping[tuple[str, ...], str]
) -> Iterator[str]:
    """Yields one line for each mistake: where it stands, its key, and what to do."""
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        keys = tuple(str(part) for part in problem["loc"] if part != "[key]")
        source = origin
        for overridden, variable in sources.items():
            made_it = problem["type"] == "extra_forbidden" and overridden[: len(keys)] == keys
            if made_it or overridden == keys[: len(overridden)]:
                source = variable
        where = f"{source}: {'.'.join(keys)}" if keys else source
        for line in _cure(problem["type"], problem["msg"], keys).splitlines():
            yield f"{where}: {line}"


_CURES: Final = {
    "missing": "is missing: add it",
    "tuple_type": "must be a list: write [ … ] around it, or [[ … ]] for a list of tables",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "dict_type": "must be a table: write [ … ] above its keys",
    "model_type": "must be a table: write [ … ] above its keys",
}


def _cure(kind: str, message: str, keys: tuple[str, ...]) -> str:
    """Says what to do, where pydantic's own words would not."""
    if kind == "extra_forbidden":
        known = _keys_beside(keys)
        close = difflib.get_close_matches(keys[-1], known, n=1)
        cure = f"did you mean {close[0]!r}?" if close else "remove it"
        return f"is not a key: {cure} (known here: {', '.join(known)})"
    if kind == "string_pattern_mismatch":
        if keys[-1] == "id":
            return "must be 1 to 64 letters, digits, '.', '_' and '-'"
        return "must be lower-case letters, digits and '-', 63 at most, and start with a letter"
    return _CURES.get(kind, message.removeprefix("Value error, "))


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
