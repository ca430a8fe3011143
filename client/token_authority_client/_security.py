"""TLS material and the credential of a connection.

Files are read again at most once a second while calls are made, so rotation (Kubernetes,
cert-manager, Vault) needs no restart. While a file is unreadable, its last content stays in use.
"""

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Final

import grpc

from token_authority_client._errors import ConfigurationError, unusable
from token_authority_client._settings import ApiKeyFile, Credential, JwtFile, PemSource, Tls
from token_authority_client._target import Target

_REREAD_SECONDS: Final = 1.0
_JWT: Final = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+")
_VISIBLE_ASCII: Final = re.compile(r"[!-~]+")
_PEM: Final = b"-----BEGIN "
# Several times a bundle of all public CAs; a device like /dev/zero has no end.
_MAX_FILE_BYTES: Final = 1_048_576
# What people pass instead of a path; errors would show it.
_CREDENTIAL: Final = re.compile(r"\s*(tak_[\w-]{20}|eyJ[\w-]+\.[\w-]+\.)")
_FILE_PREFIXES: Final = ("/", "./", "../", "~/")
_FILE_SUFFIXES: Final = (".txt", ".key", ".pem", ".jwt", ".token")


@dataclass(frozen=True, slots=True)
class TlsMaterial:
    """The contents of the files that `Tls` names."""

    ca: bytes | None
    certificate: bytes | None
    private_key: bytes | None = field(repr=False)
    server_name: str | None

    def credentials(self) -> grpc.ChannelCredentials:
        """Returns gRPC's channel credentials."""
        return grpc.ssl_channel_credentials(self.ca, self.private_key, self.certificate)


class Security:
    """TLS and credential of one client.

    Args:
        target: The server.
        tls: TLS settings; None: plaintext, unless `credentials` are given.
        credential: The caller's credential; None: none, or only the client certificate.
        credentials: gRPC's channel credentials, instead of `tls`.

    Raises:
        ConfigurationError: An argument has the wrong type, they contradict each other, the API key
            cannot be sent, or the credential would be sent in plaintext over a network.
    """

    def __init__(
        self,
        target: Target,
        *,
        tls: Tls | None,
        credential: Credential | None,
        credentials: grpc.ChannelCredentials | None,
    ) -> None:
        _check_types(tls, credential)
        if tls is not None and credentials is not None:
            raise unusable("tls and credentials were both given", "pass one of them")
        if tls is not None and tls.server_name is None and len(target.endpoints) > 1:
            raise unusable(
                "the name to verify is ambiguous with several addresses",
                "pass Tls(server_name=…) (--server-name)",
            )
        self.is_plaintext: bool = tls is None and credentials is None
        if credential is not None and self.is_plaintext and not target.is_local:
            raise unusable(
                f"the credential would be sent to {target.text} in plaintext",
                "pass tls=Tls(…) (--tls or --ca), or connect to a loopback address or unix socket",
            )
        self._tls = tls
        self._credential = credential
        self._credentials = credentials
        self._lock = threading.Lock()
        self._next_reading: float | None = None
        self._bearer = _api_key(credential) if isinstance(credential, str) else ""
        self.material: TlsMaterial | None = None
        """The TLS files' content; None without `tls` and before the first `read`."""
        self.server_name: str | None = tls.server_name if tls is not None else None

    @property
    def has_client_certificate(self) -> bool:
        """Whether `tls` has a client certificate; what `credentials` contain is unknown."""
        return self._tls is not None and self._tls.certificate is not None

    def is_due(self) -> bool:
        """Whether `read` must run before the next call."""
        if self._next_reading is not None:
            return time.monotonic() >= self._next_reading
        return self._tls is not None or isinstance(self._credential, ApiKeyFile | JwtFile)

    def read(self) -> None:
        """Reads the files. It blocks.

        Raises:
            ConfigurationError: A file is unusable and there is no earlier content.
        """
        with self._lock:
            if not self.is_due():
                return
            self.material = self._read_tls()
            self._bearer = self._read_credential()
            self._next_reading = time.monotonic() + _REREAD_SECONDS

    def channel_credentials(self) -> grpc.ChannelCredentials | None:
        """Returns the credentials for a channel; None: a plaintext channel."""
        return self.material.credentials() if self.material is not None else self._credentials

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Returns the metadata that authenticates a call.

        Raises:
            ConfigurationError: The credential function returned no credential.
        """
        if callable(self._credential):
            what = "the credential that the function returned"
            return _authorization(_usable(what, self._credential))
        return _authorization(self._bearer) if self._bearer else ()

    def _read_tls(self) -> TlsMaterial | None:
        if self._tls is None:
            return None
        try:
            material = TlsMaterial(
                _pem("ca", self._tls.ca),
                _pem("certificate", self._tls.certificate),
                _pem("private_key", self._tls.private_key),
                self._tls.server_name,
            )
        except ConfigurationError:
            if self.material is None:
                raise
            return self.material
        return self.material if material == self.material else material

    def _read_credential(self) -> str:
        credential = self._credential
        if not isinstance(credential, ApiKeyFile | JwtFile):
            return self._bearer
        noun = "JWT" if isinstance(credential, JwtFile) else "API key"
        if _CREDENTIAL.match(str(credential.path)):
            raise unusable(
                f"the {noun} file is given as an API key or JWT, instead of a path",
                "write it to a file, and pass the path",
            )
        what = f"the {noun} file {credential.path}"
        try:
            text = _usable(what, lambda: _text(what, credential.path))
            if isinstance(credential, JwtFile) and not _JWT.fullmatch(text):
                raise unusable(f"{what} does not contain a JWT", "check the path")
        except ConfigurationError:
            if not self._bearer:
                raise
            return self._bearer
        return text


def _check_types(tls: object, credential: object) -> None:
    """Refuses types that would fail only at the first call, or be ignored."""
    if tls is not None and not isinstance(tls, Tls):
        raise unusable(
            f"tls must be a Tls; got {type(tls).__name__}",
            "pass Tls() for public CAs, or Tls(ca='ca.pem')",
        )
    is_known = isinstance(credential, str | ApiKeyFile | JwtFile) or callable(credential)
    if credential is not None and not is_known:
        raise unusable(
            f"credential has the wrong type, {type(credential).__name__}",
            "pass an API key as str, ApiKeyFile(path), JwtFile(path), or a function that returns "
            "a credential",
        )


def _api_key(text: str) -> str:
    # By its spelling only: the event loop must not wait for a disk.
    if text.lower().endswith(_FILE_SUFFIXES) or text.startswith(_FILE_PREFIXES):
        raise unusable(
            "credential is a file name, but a str must be the API key itself",
            "pass ApiKeyFile(path) or JwtFile(path) to read it from a file",
        )
    try:
        return _checked("the API key", text)
    except ValueError as error:
        advice = "strip the line break, or pass ApiKeyFile(path)"
        raise unusable(str(error), advice) from None


def _authorization(bearer: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {bearer}"),)


def _checked(what: str, credential: object) -> str:
    """Returns a credential that can be sent as metadata; errors never contain it."""
    if not isinstance(credential, str) or not _VISIBLE_ASCII.fullmatch(credential):
        raise ValueError(f"{what} must be visible ASCII characters without spaces, and not empty")
    return credential


def _usable(what: str, find: Callable[[], object]) -> str:
    try:
        return _checked(what, find())
    except ValueError as error:
        if isinstance(error, ConfigurationError):
            raise
        raise unusable(str(error), "check its source") from None


def _text(what: str, path: str | PathLike[str]) -> str:
    return _bytes(what, path).decode("ascii", "replace").strip()


def _bytes(what: str, path: str | PathLike[str]) -> bytes:
    try:
        with Path(path).open("rb") as file:
            content = file.read(_MAX_FILE_BYTES + 1)
    except (OSError, TypeError, ValueError) as error:
        # Not OSError: the path is not a path, or contains NUL.
        problem = error.strerror if isinstance(error, OSError) else error
        advice = "check its path and permissions"
        raise unusable(f"{what} cannot be read ({problem})", advice) from None
    if len(content) > _MAX_FILE_BYTES:
        raise unusable(f"{what} is larger than {_MAX_FILE_BYTES} bytes", "check its path")
    return content


def _pem(name: str, source: PemSource | None) -> bytes | None:
    if source is None:
        return None
    if isinstance(source, bytes):
        what, content = f"Tls.{name}", source
    elif _PEM.decode() in str(source):
        raise unusable(
            f"Tls.{name} is the content of a PEM file, but a str must be its path",
            "pass the path, or the content as bytes",
        )
    else:
        what = f"the {name} file {source}"
        content = _bytes(what, source)
    if _PEM not in content:
        raise unusable(f"{what} is not PEM", f"check that it contains a line {_PEM.decode()}…")
    return content
