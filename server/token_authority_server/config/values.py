"""The values that configuration is written in, and what is wrong with them.

A validator's message says what to do and never shows a secret.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Final, cast

from pydantic import AfterValidator, BeforeValidator, ValidationInfo

from token_authority_server.keyring import Secret

_HEX32: Final = re.compile(r"[0-9A-Fa-f]{32}")
_DURATION: Final = re.compile(r"(\d{1,9})(ms|s|m|h|d)")
_UNIT_MS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


@dataclass(frozen=True, slots=True)
class SecretSources:
    """Where secrets are fetched from: the validation context of a file."""

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
    context: SecretSources = cast("SecretSources", info.context)
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
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{source} is not UTF-8 text") from None
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


def _not_empty(value: Any) -> Any:
    if value in ((), [], {}):
        raise ValueError("must not be empty: add one")
    return value


# Not pydantic's min_length, which complains again where an entry has complained already.
NotEmpty = BeforeValidator(_not_empty)
DurationText = Annotated[timedelta, BeforeValidator(_duration)]
Address = Annotated[str, AfterValidator(_address)]
SecretText = Annotated[Secret, BeforeValidator(_secret)]
Hex32Text = Annotated[str, AfterValidator(_hex32)]
CertificateText = Annotated[SecretText, AfterValidator(_certificate)]
