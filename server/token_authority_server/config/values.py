"""Types of configuration values: durations, paths and secrets, with their validators.

Each error message contains what to do, and never a secret.
"""

import difflib
import re
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final, cast

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, ValidationInfo, WithJsonSchema

from token_authority_server.config.files import Sources
from token_authority_server.keyring import Secret

# App Certificates have 32 hex digits, encryption secrets more.
_SECRET: Final = re.compile(r"[0-9A-Fa-f]{32,}")
_VARIABLE: Final = re.compile(r"[A-Za-z_][0-9A-Za-z_]*")
_GIVEN_ITSELF: Final = (
    'must name where the secret is, { file = "PATH" } or { env = "NAME" }, and not contain it'
)
_HEX32: Final = re.compile(r"[0-9A-Fa-f]{32}")
_DURATION: Final = re.compile(r"([0-9]{1,9})(ms|s|m|h|d)")
_MAX_SECRET: Final = 4096
_MIN_DIFFERENT_BYTES: Final = 16
_UNIT_MS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


_FIRST_TIME: Final = datetime(1, 1, 1, tzinfo=UTC)
_LAST_TIME: Final = datetime(9999, 12, 31, tzinfo=UTC)


def _in_range(value: datetime) -> datetime:
    if not _FIRST_TIME <= value <= _LAST_TIME:
        raise ValueError("must be from year 1 to 9999-12-31T00:00:00Z")
    return value


UtcTime = Annotated[AwareDatetime, AfterValidator(_in_range)]
"""A time with its zone, which UTC can express."""


def sources_of(info: ValidationInfo) -> Sources:
    """Returns the files and environment variables that validators read from."""
    return cast("Sources", info.context)


def _duration(value: object) -> object:
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if not match:
        raise ValueError('must be a number and a unit (ms, s, m, h, d), like "20s"')
    return timedelta(milliseconds=int(match[1]) * _UNIT_MS[match[2]])


def up_to(limit: timedelta, text: str) -> AfterValidator:
    """Returns a validator that rejects durations above a limit."""

    def check(value: timedelta) -> timedelta:
        if value > limit:
            raise ValueError(f"must be at most {text}")
        return value

    return AfterValidator(check)


def suggestion(value: object, known: Iterable[str]) -> str:
    """Returns ": did you mean 'name'?" for a value that resembles a known one, or ""."""
    if not isinstance(value, str):
        return ""
    close = difflib.get_close_matches(value, known)
    # Among equally close names, prefer a transposition of letters: the likelier typo.
    close.sort(key=lambda name: sorted(name) != sorted(value))
    return f": did you mean {close[0]!r}?" if close else ""


def repeated_in(values: Iterable[str]) -> list[str]:
    """Returns the values that occur more than once, sorted."""
    return sorted(value for value, count in Counter(values).items() if count > 1)


def _hex32(value: str) -> str:
    if value != value.strip():
        raise ValueError("has leading or trailing white space: remove it")
    if not _HEX32.fullmatch(value):
        raise ValueError(
            f"must be 32 hex digits, but has {len(value)} characters"
            if len(value) != 32
            else "must be 32 hex digits, but has other characters"
        )
    return value


def _token_text(value: str) -> str:
    """Rejects spaces and line breaks, which would make it a different key."""
    if value != value.strip():
        raise ValueError("has leading or trailing white space: remove it")
    if not value or not value.isprintable() or " " in value:
        raise ValueError("must be text without spaces and line breaks, and not empty")
    return value


def _secret(value: object, info: ValidationInfo) -> Secret:
    """Resolves a reference to a secret."""
    sources = sources_of(info)
    match value:
        case {"file": str(name)} if len(_keys(value)) == 1:
            source = str(sources.path(name))
            if _SECRET.fullmatch(name) and not sources.path(name).exists():
                raise ValueError(_GIVEN_ITSELF)
            try:
                text = sources.read(name, _MAX_SECRET).decode()
            except UnicodeDecodeError:
                raise ValueError(f"{source} is not a text file") from None
        case {"env": str(name)} if len(_keys(value)) == 1:
            source = f"environment variable {name}"
            if name not in sources.environment:
                if _SECRET.fullmatch(name) or not _VARIABLE.fullmatch(name):
                    raise ValueError(_GIVEN_ITSELF)
                raise ValueError(f"{source} is not set: set it to the secret")
            text = sources.environment[name]
        case {"file": object(), "env": object()}:
            raise ValueError("must have either file or env, not both")
        case _:
            raise ValueError(
                'must be { file = "PATH" } or { env = "NAME" }: secrets do not belong in this file'
            )
    # Editors and `echo` add a line break at the end.
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise ValueError(f"{source} is empty: it must contain the secret")
    try:
        return Secret(_token_text(text))
    except ValueError as error:
        raise ValueError(f"{source} {error}") from None


def _keys(value: Any) -> list[str]:
    return list(cast("dict[str, Any]", value)) if isinstance(value, dict) else []


def _path(value: object, info: ValidationInfo) -> Path:
    """Resolves a path, relative to the folder of the configuration file."""
    if not isinstance(value, str) or not value or not value.isprintable():
        raise ValueError('must be the path of a file, like "audit.jsonl"')
    return sources_of(info).path(value)


def _certificate(secret: Secret) -> Secret:
    _hex32(secret.reveal())
    return secret


def _random_bytes(secret: Secret) -> Secret:
    text = secret.reveal()
    if not re.fullmatch(r"([0-9A-Fa-f]{2}){32,}", text):
        raise ValueError(
            "must be 64 or more hex digits, two for each random byte: run `openssl rand -hex 32`"
        )
    # Of 32 random bytes, fewer than 16 different ones occur less than once in 10^9 times.
    if len(set(bytes.fromhex(text))) < _MIN_DIFFERENT_BYTES:
        raise ValueError("is not random: run `openssl rand -hex 32`")
    return secret


def _not_empty(value: Any) -> Any:
    if value in ((), [], {}):
        raise ValueError("must not be empty: add at least one entry")
    return value


# The schema, for `config schema`, of values that are converted before they are validated.
_DURATION_SCHEMA: Final = WithJsonSchema({"type": "string", "pattern": f"^{_DURATION.pattern}$"})
PATH_SCHEMA: Final = WithJsonSchema({"type": "string", "minLength": 1})
_SECRET_SCHEMA: Final = WithJsonSchema(
    {
        "type": "object",
        "description": '{ file = "PATH" } or { env = "NAME" }',
        "properties": {"file": {"type": "string"}, "env": {"type": "string"}},
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }
)
_HEX32_SCHEMA: Final = WithJsonSchema({"type": "string", "pattern": f"^{_HEX32.pattern}$"})

# Not pydantic's min_length, which reports a second error if an entry is invalid.
NotEmpty = BeforeValidator(_not_empty)
DurationText = Annotated[timedelta, BeforeValidator(_duration), _DURATION_SCHEMA]
FilePath = Annotated[Path, BeforeValidator(_path), PATH_SCHEMA]
SecretText = Annotated[Secret, BeforeValidator(_secret), _SECRET_SCHEMA]
Hex32Text = Annotated[str, AfterValidator(_hex32), _HEX32_SCHEMA]
RandomBytesText = Annotated[SecretText, AfterValidator(_random_bytes)]
CertificateText = Annotated[SecretText, AfterValidator(_certificate)]
TokenText = Annotated[str, AfterValidator(_token_text)]
