"""Reads the file, lets the environment override it, and explains what is wrong with either."""

import difflib
import time
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast, get_args

from pydantic import ValidationError

from token_authority_server.config.files import ReadProgress, Signature, Sources
from token_authority_server.config.rows import validate_rows
from token_authority_server.config.section import Section
from token_authority_server.config.settings import Settings

ENVIRONMENT_PREFIX: Final = "TOKEN_AUTHORITY__"
"""`TOKEN_AUTHORITY__SERVER__DRAIN=5s` overrides `drain` in `[server]`."""
_SETTLING_SECONDS: Final = 0.2
_MAX_ROUNDS: Final = 20
_MAX_CONFIG_BYTES: Final = 67_108_864


class ConfigError(Exception):
    """A configuration that cannot be used: one line for each mistake."""


def load(path: Path, environment: Mapping[str, str]) -> Settings:
    """Reads a file, applies the overrides of the environment, and fetches the secrets.

    Raises:
        ConfigError: With one line for each mistake.
    """
    return ConfigFile(path, environment).load()


@dataclass(frozen=True, slots=True)
class Attempt:
    """The outcome of reading a configuration once."""

    outcome: "Settings | ConfigError"
    sources: Sources
    """The files that were read, with their contents and signatures."""
    is_settled: bool = True
    """Whether no file changed while they were read."""

    def settings(self) -> Settings:
        """Returns the settings.

        Raises:
            ConfigError: With one line for each mistake.
        """
        if isinstance(self.outcome, ConfigError):
            raise self.outcome
        return self.outcome


class ConfigFile:
    """A configuration file and the files that it names, which may change while the server runs.

    Args:
        path: The TOML file.
        environment: Variables with overrides, and with secrets.
    """

    def __init__(self, path: Path, environment: Mapping[str, str]) -> None:
        self.path = path
        self._environment = environment
        self.signatures: Mapping[Path, Signature] = {}
        """The signatures of the files that `load` read, from before it read them."""

    def load(self) -> Settings:
        """Reads all files once; see `load`."""
        attempt = self.read(ReadProgress())
        self.signatures = attempt.sources.signatures
        return attempt.settings()

    def read(self, progress: ReadProgress) -> Attempt:
        """Reads all files once, and validates what they hold."""
        sources = Sources(self.path.parent, self._environment, progress)
        try:
            document = _document(self.path, sources)
            return Attempt(_settings(document, str(self.path), sources), sources)
        except ConfigError as error:
            return Attempt(error, sources)

    def read_settled(self, progress: ReadProgress) -> Attempt:
        """Reads until all files hold the same bytes twice, 0.2 s apart; blocks meanwhile.

        A file that is being written is not used before its writer has paused for as long as that.
        """
        rounds = 0
        while True:
            attempt = self.read(progress)
            time.sleep(_SETTLING_SECONDS)
            if attempt.sources.are_unchanged():
                return attempt
            rounds += 1
            if rounds == _MAX_ROUNDS:
                changing = f"{self.path}: changes while it is read: write a new file and rename it"
                return Attempt(ConfigError(changing), attempt.sources, is_settled=False)


def _document(path: Path, sources: Sources) -> dict[str, Any]:
    data = sources.content(path, _MAX_CONFIG_BYTES)
    if isinstance(data, str):
        raise ConfigError(f"{path}: cannot be read: {data}")
    if len(data) > _MAX_CONFIG_BYTES:
        raise ConfigError(f"{path}: is too long: more than {_MAX_CONFIG_BYTES} bytes")
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
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
    validate_rows(document, sources)
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
        keys = tuple(str(part) for part in problem["loc"] if part not in _TAGS)
        source = origin
        for overridden, variable in sources.items():
            made_it = problem["type"] == "extra_forbidden" and overridden[: len(keys)] == keys
            if made_it or overridden == keys[: len(overridden)]:
                source = variable
        where = f"{source}: {'.'.join(keys)}" if keys else source
        for line in _cure(problem["type"], problem["msg"], keys).splitlines():
            yield f"{where}: {line}"


# What pydantic adds to the path of a mistake: the key of a table, the form of an identity.
_TAGS: Final = frozenset({"[key]", "[text]", "[table]"})
_CURES: Final = {
    "missing": "is missing: add it",
    "tuple_type": "must be a list: write [ … ] around it, or [[ … ]] for a list of tables",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "timezone_aware": "must be a date and time with a time zone, like 2027-01-31T18:00:00Z",
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
