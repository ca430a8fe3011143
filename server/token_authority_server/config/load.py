"""Loads the configuration file, applies environment overrides and reports errors in both."""

import itertools
import time
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from pydantic import ValidationError

from token_authority_server.config.files import FileStamp, ReadProgress, Sources
from token_authority_server.config.mistakes import Origin, value_at
from token_authority_server.config.references import unknown_names
from token_authority_server.config.rows import validate_rows
from token_authority_server.config.section import Section
from token_authority_server.config.settings import Settings
from token_authority_server.config.toml_text import parse_toml
from token_authority_server.config.validation_errors import Mistake, mistakes_in, section_in

ENVIRONMENT_PREFIX: Final = "TOKEN_AUTHORITY__"
"""`TOKEN_AUTHORITY__SERVER__DRAIN=5s` overrides `drain` in `[server]`."""
_SETTLING_SECONDS: Final = 0.2
_MAX_ROUNDS: Final = 20
_MAX_CONFIG_BYTES: Final = 67_108_864


class ConfigError(Exception):
    """An invalid configuration; the message has one line for each mistake."""


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
        self.signatures: Mapping[Path, FileStamp] = {}
        """The signatures of the files that `load` read, from before it read them."""

    def load(self) -> Settings:
        """Reads all files once; see `load`."""
        attempt = self.read(ReadProgress())
        self.signatures = attempt.sources.signatures
        return attempt.settings()

    def read(self, progress: ReadProgress) -> Attempt:
        """Reads all files once, and validates them."""
        sources = Sources(self.path.parent, self._environment, progress)
        try:
            text = _read_text(self.path, sources)
            document = _parse(text, self.path)
            return Attempt(_settings(document, str(self.path), sources, text), sources)
        except ConfigError as error:
            return Attempt(error, sources)

    def read_settled(self, progress: ReadProgress) -> Attempt:
        """Reads until all files have the same bytes twice, 0.2 s apart; blocks meanwhile.

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
                changing = (
                    f"{self.path}: changed while it was read: write a new file and rename it over "
                    "the old one"
                )
                return Attempt(ConfigError(changing), attempt.sources, is_settled=False)


def app_ids(path: Path) -> dict[str, str]:
    """Reads the App ID of each project from a configuration file, without its secrets.

    Raises:
        ConfigError: The file cannot be read or is not TOML.
    """
    document = _parse(_read_text(path, Sources(path.parent, {})), path)
    projects = document.get("projects")
    names = cast("dict[str, Any]", projects) if isinstance(projects, dict) else ()
    found = {name: value_at(document, ("projects", name, "agora", "app_id")) for name in names}
    return {name: app_id for name, app_id in found.items() if isinstance(app_id, str)}


def _read_text(path: Path, sources: Sources) -> str:
    data = sources.content(path, _MAX_CONFIG_BYTES)
    if isinstance(data, str):
        raise ConfigError(f"{path}: cannot be read: {data}")
    if len(data) > _MAX_CONFIG_BYTES:
        raise ConfigError(f"{path}: is too large: more than {_MAX_CONFIG_BYTES} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8 text: save it as UTF-8") from None


def _parse(text: str, path: Path) -> dict[str, Any]:
    try:
        return parse_toml(text, str(path))
    except ValueError as error:
        raise ConfigError(str(error)) from None


def settings_of(
    document: dict[str, Any], origin: str, folder: Path, environment: Mapping[str, str]
) -> Settings:
    """Makes settings of a document and the environment's overrides.

    Args:
        document: The tables, as TOML has them.
        origin: Its name in messages.
        folder: What the paths of secrets are relative to.
        environment: Variables with overrides, and with secrets.

    Raises:
        ConfigError: With one line for each mistake.
    """
    return _settings(document, origin, Sources(folder, environment))


def _settings(document: dict[str, Any], origin: str, sources: Sources, text: str = "") -> Settings:
    overrides = dict(_override(document, sources.environment))
    mistakes = list(unknown_names(document))
    validate_rows(document, sources)
    settings = None
    try:
        settings = Settings.model_validate(document, context=sources)
    except ValidationError as error:
        mistakes += mistakes_in(error, Settings)
    if settings:
        mistakes += itertools.starmap(Mistake, settings.mistakes())
    if mistakes or not settings:
        lines = Origin(origin, document, text, overrides).explain(mistakes)
        raise ConfigError("\n".join(lines))
    return settings


def _override(
    document: dict[str, Any], environment: Mapping[str, str]
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Writes the environment's values into the document; yields where each one came from."""
    for name, text in sorted(environment.items()):
        if not name.startswith(ENVIRONMENT_PREFIX):
            if "__" in name and name.upper().startswith(ENVIRONMENT_PREFIX.rstrip("_")):
                raise ConfigError(f"{name}: the prefix must be {ENVIRONMENT_PREFIX}: rename it")
            continue
        if not _is_unicode(name + text):
            shown = name.encode(errors="backslashreplace").decode()
            raise ConfigError(f"{shown}: is not UTF-8 text: correct it")
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


def _is_unicode(text: str) -> bool:
    """Whether text of the environment was UTF-8; Python has lone surrogates for other bytes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_setting(keys: tuple[str, ...]) -> bool:
    """Whether all but the last key lead to tables."""
    section: type[Section] | None = Settings
    for key in keys[:-1]:
        if section and key in section.model_fields:
            section = section_in(section.model_fields[key].annotation)
    return section is not None


def _toml_value(text: str) -> Any:
    """Reads a value as TOML would (`true`, `5`, `["a", "b"]`), and anything else as plain text."""
    try:
        document = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    # More keys than one: a line break in the text, which is no TOML value then.
    return document["value"] if len(document) == 1 else text
