"""Configuration: one TOML file and environment overrides, read into frozen models.

Secrets stand in neither: the file says where they are (`{ file = … }`, `{ env = … }`). Every
mistake is reported with the file, the key and what to do, and never with the value.
"""

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Final, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from token_authority_server.keyring import (
    AccessKey,
    AppCertificate,
    Keyring,
    KeyState,
    Project,
    Secret,
    SigningKey,
)
from token_authority_server.log import LogFormat, LogLevel

ENVIRONMENT_PREFIX: Final = "TOKEN_AUTHORITY__"
"""`TOKEN_AUTHORITY__SERVER__DRAIN=5s` overrides `drain` in `[server]`."""

_HEX32: Final = re.compile(r"[0-9A-Fa-f]{32}")
_NAME: Final = r"^[a-z][0-9a-z-]{0,62}$"
_DURATION: Final = re.compile(r"(\d{1,9})(ms|s|m|h|d)")
_UNIT_MS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


class ConfigError(Exception):
    """A configuration that cannot be used: one line for each mistake."""


@dataclass(frozen=True, slots=True)
class _Context:
    """Where secrets may be."""

    folder: Path
    environment: Mapping[str, str]


def _duration(value: object) -> object:
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if not match:
        raise ValueError('must be a number and a unit (ms, s, m, h, d), like "20s"')
    return timedelta(milliseconds=int(match[1]) * _UNIT_MS[match[2]])


def _address(value: str) -> str:
    """Checks a listen address. Other machines must not reach a server that knows no callers."""
    if value.startswith("unix:"):
        if not value.startswith("unix:/") or value.endswith("/"):
            raise ValueError('a unix socket needs an absolute path, like "unix:/run/ta/ta.sock"')
        return value
    host, _, port = value.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError('must be "HOST:PORT", like "127.0.0.1:50051", or "unix:/path"')
    if host != "localhost":
        try:
            loopback = ip_address(host.removeprefix("[").removesuffix("]")).is_loopback
        except ValueError:
            loopback = False
        if not loopback:
            raise ValueError(
                "only loopback addresses and unix sockets are allowed while callers cannot be "
                'configured: anyone who reached it could mint tokens; use "127.0.0.1:PORT"'
            )
    return value


def _hex32(value: str) -> str:
    if value != value.strip():
        raise ValueError("has white space around it: remove that")
    if not _HEX32.fullmatch(value):
        raise ValueError(
            f"must be 32 hex digits, but has {len(value)} characters"
            if len(value) != 32
            else "must be 32 hex digits, but has other characters"
        )
    return value


def _secret(value: object, info: ValidationInfo) -> Secret:
    """Fetches what a reference points to."""
    context: _Context = cast("_Context", info.context)
    match value:
        case {"file": str(name)} if len(_keys(value)) == 1:
            path: Path = context.folder / name
            try:
                text = path.read_text(encoding="utf-8")
            except OSError as error:
                raise ValueError(f"cannot read {path}: {error.strerror}") from None
            except UnicodeDecodeError:
                raise ValueError(f"{path} is not a text file") from None
            source = str(path)
        case {"env": str(name)} if len(_keys(value)) == 1:
            if name not in context.environment:
                raise ValueError(f"environment variable {name} is not set: set it")
            text = context.environment[name]
            source = f"environment variable {name}"
        case _:
            raise ValueError(
                'must be { file = "PATH" } or { env = "NAME" }: secrets do not belong in this file'
            )
    # Editors and `echo` end a file with a line break.
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise ValueError(f"{source} is empty")
    return Secret(text)


def _keys(value: Any) -> list[str]:
    return list(cast("dict[str, Any]", value)) if isinstance(value, dict) else []


def _certificate(secret: Secret) -> Secret:
    _hex32(secret.reveal())
    return secret


DurationText = Annotated[timedelta, BeforeValidator(_duration)]
Address = Annotated[str, AfterValidator(_address)]
SecretText = Annotated[Secret, BeforeValidator(_secret)]


class Section(BaseModel):
    """A table of the file: frozen, and no key but those it declares."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=True, use_attribute_docstrings=True
    )

    @model_validator(mode="before")
    @classmethod
    def _know_every_key(cls, value: Any) -> Any:
        for key in _keys(value):
            if key not in cls.model_fields:
                close = difflib.get_close_matches(key, cls.model_fields, n=1)
                cure = f"did you mean {close[0]!r}?" if close else "remove it"
                known = ", ".join(cls.model_fields)
                raise ValueError(f"unknown key {key!r}: {cure} (known here: {known})")
        return value


class ServerSettings(Section):
    """`[server]`: the gRPC server."""

    listen: Annotated[tuple[Address, ...], Field(min_length=1)] = ("127.0.0.1:50051",)
    """Addresses: `HOST:PORT` (port 0: any free one) or `unix:/absolute/path`. Loopback only."""

    reflection: bool = False
    """Whether clients may read the contract from the server (grpcurl, buf curl)."""

    max_request_bytes: Annotated[int, Field(ge=4096, le=16_777_216)] = 1_048_576
    """Larger requests are refused unread: 4 KiB to 16 MiB."""

    max_concurrent_rpcs: Annotated[int, Field(ge=1, le=100_000)] = 1000
    """Calls under way at once, health checks included; one more is refused. 1 to 100000."""

    drain_notice: Annotated[DurationText, Field(le=timedelta(minutes=5))] = timedelta(seconds=1)
    """On SIGTERM: how long new calls are refused with a reason before connections are. 0s to 5m."""

    drain: Annotated[DurationText, Field(le=timedelta(hours=1))] = timedelta(seconds=20)
    """On SIGTERM: how long calls under way may take to finish after that. 0s to 1h."""


class LogSettings(Section):
    """`[log]`: one line an event, on standard error."""

    format: LogFormat = "auto"
    """`json`, `console` (readable), or `auto`: console where standard error is a terminal."""

    level: LogLevel = "info"
    """The least severe level that is written: debug, info, warning or error."""


KeyId = Annotated[str, Field(pattern=r"^[0-9A-Za-z._-]{1,64}$")]


class CertificateSettings(Section):
    """`[[projects.NAME.agora.certificates]]`: an App Certificate."""

    id: KeyId
    """A name of your own, unique in the project; it stands in logs and answers. Not the secret."""

    secret: Annotated[SecretText, AfterValidator(_certificate)]
    """Where the App Certificate is: 32 hex digits."""

    state: KeyState
    """`active` signs (at most one does), `verify_only` is retired, `disabled` is neither."""


class AgoraSettings(Section):
    """`[projects.NAME.agora]`: RTC and the other products that App Certificates sign for."""

    app_id: Annotated[str, AfterValidator(_hex32)]
    """The App ID: 32 hex digits."""

    certificates: Annotated[tuple[CertificateSettings, ...], Field(min_length=1)]
    """The project's App Certificates; one is active."""


class AccessKeySettings(Section):
    """`[[projects.NAME.whiteboard.access_keys]]`: an access key pair."""

    id: KeyId
    """A name of your own, unique in the project; it stands in logs and answers. Not the AK."""

    access_key: Annotated[str, Field(min_length=1, pattern=r"^\S+$")]
    """The AK, which is written into every token."""

    secret: SecretText
    """Where the SK is."""

    state: KeyState
    """`active` signs (at most one does), `verify_only` is retired, `disabled` is neither."""


class WhiteboardSettings(Section):
    """`[projects.NAME.whiteboard]`: Interactive Whiteboard."""

    access_keys: Annotated[tuple[AccessKeySettings, ...], Field(min_length=1)]
    """The project's access key pairs; one is active."""


class ProjectSettings(Section):
    """`[projects.NAME]`: an Agora project, by the name that requests use."""

    agora: AgoraSettings | None = None
    """App ID and App Certificates; absent if the project needs none."""

    whiteboard: WhiteboardSettings | None = None
    """Whiteboard keys; absent if the project has none."""

    @model_validator(mode="after")
    def _check_keys(self) -> "ProjectSettings":
        if not (self.agora or self.whiteboard):
            raise ValueError("has no keys: add an agora or a whiteboard table")
        keys = self.signing_keys()
        ids = [key.key_id for key in keys]
        for key_id in ids:
            if ids.count(key_id) > 1:
                raise ValueError(f"two keys have the id {key_id!r}: give each its own")
        for product in ("agora", "whiteboard"):
            active = [
                key.key_id
                for key in keys
                if key.product == product and key.state is KeyState.ACTIVE
            ]
            if len(active) > 1:
                raise ValueError(
                    f"the {product} keys {' and '.join(active)} are both active: one may be; set "
                    'the state of the other to "verify_only"'
                )
        return self

    def signing_keys(self) -> tuple[SigningKey, ...]:
        """Returns the project's keys, ready to sign."""
        return (*self._certificates(), *self._access_keys())

    def _certificates(self) -> Iterator[AppCertificate]:
        if self.agora:
            for row in self.agora.certificates:
                yield AppCertificate(row.id, row.state, self.agora.app_id, row.secret)

    def _access_keys(self) -> Iterator[AccessKey]:
        if self.whiteboard:
            for row in self.whiteboard.access_keys:
                yield AccessKey(row.id, row.state, row.access_key, row.secret)


class Settings(Section):
    """The whole file."""

    server: ServerSettings = ServerSettings()
    """The gRPC server."""

    log: LogSettings = LogSettings()
    """The log."""

    projects: Annotated[
        dict[Annotated[str, Field(pattern=_NAME)], ProjectSettings], Field(min_length=1)
    ]
    """The projects, by name: lower-case letters, digits and `-`, 63 at most."""

    def keyring(self) -> Keyring:
        """Returns the projects and their keys."""
        return Keyring(Project(name, row.signing_keys()) for name, row in self.projects.items())

    def warnings(self) -> Iterator[str]:
        """Yields what is allowed and yet worth a look."""
        for name, project in self.projects.items():
            for product in sorted({key.product for key in project.signing_keys()}):
                states = [key.state for key in project.signing_keys() if key.product == product]
                if KeyState.ACTIVE not in states:
                    yield (
                        f"projects.{name}.{product}: no key is active: every request for its "
                        "tokens will be answered with NO_ACTIVE_KEY"
                    )


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
    context = _Context(path.parent, environment)
    try:
        return Settings.model_validate(document, context=context)
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(error, path, sources))) from None


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
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _explain(
    error: ValidationError, path: Path, sources: Mapping[tuple[str, ...], str]
) -> Iterator[str]:
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        keys = tuple(str(part) for part in problem["loc"] if part != "[key]")
        source = next((name for key, name in sources.items() if keys[: len(key)] == key), path)
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "missing":
            message = "is missing: add it"
        elif problem["type"] == "string_pattern_mismatch":
            message = (
                "may consist of letters, digits, '.', '_' and '-' only (see the commented file)"
            )
        yield f"{source}: {'.'.join(keys) or 'the file'}: {message}"
