"""What secures a connection and shows who calls: TLS settings and credentials, from files or not.

Files are read again while they are in use, at most once a second, so that what rotates them
(Kubernetes, cert-manager, Vault) need tell nobody. What cannot be read any more is kept.
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

from token_authority_client._errors import ConfigurationError
from token_authority_client._target import Target

_REREAD_SECONDS: Final = 1.0
_JWT: Final = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+")
_VISIBLE_ASCII: Final = re.compile(r"[!-~]+")
_PEM: Final = b"-----BEGIN "

PemSource = str | PathLike[str] | bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """TLS to the server. Without arguments: it must have a certificate of a public CA.

    Each is the path of a PEM file (`str` or `Path`) or its content (`bytes`). Files are read again
    when they change; new connections use what is in them, those that are open stay.

    Raises:
        ValueError: One of `certificate` and `private_key` is there without the other.
    """

    ca: PemSource | None = None
    """The CAs to trust; None: those that grpcio brings along, not those of the machine."""
    certificate: PemSource | None = None
    """The client's certificate and what follows up to the CA, for servers that ask for one."""
    private_key: PemSource | None = field(default=None, repr=False)
    """Its private key."""
    server_name: str | None = None
    """The name that the server's certificate must have; None: the target's."""

    def __post_init__(self) -> None:
        """Refuses half a pair."""
        if (self.certificate is None) != (self.private_key is None):
            raise ValueError(
                "a client certificate takes both certificate and private_key (--cert and --key)"
            )


@dataclass(frozen=True, slots=True)
class ApiKeyFile:
    """A file with an API key, read again when it changes."""

    path: str | PathLike[str]


@dataclass(frozen=True, slots=True)
class JwtFile:
    """A file with a JWT, e.g. a projected token of Kubernetes, read again when it changes."""

    path: str | PathLike[str]


Credential = str | ApiKeyFile | JwtFile | Callable[[], str]
"""An API key, where to read one or a JWT, or a function that returns one at once for each call."""


@dataclass(frozen=True, slots=True)
class TlsMaterial:
    """What `Tls` stands for, read."""

    ca: bytes | None
    certificate: bytes | None
    private_key: bytes | None = field(repr=False)
    server_name: str | None

    def credentials(self) -> grpc.ChannelCredentials:
        """Returns what grpc makes a channel of."""
        return grpc.ssl_channel_credentials(self.ca, self.private_key, self.certificate)


class Security:
    """How one client secures its connections.

    Args:
        target: Where it connects to.
        tls: TLS settings; None: plaintext, unless there are `credentials`.
        credential: What shows who calls; None: nothing, or the client certificate.
        credentials: grpc's own, instead of `tls`.

    Raises:
        ConfigurationError: One of them is not of its type, or the API key cannot be sent.
        ValueError: These do not go together, or would show the credential to the network.
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
            raise ValueError("give tls or credentials, not both")
        if tls is not None and tls.server_name is None and len(target.endpoints) > 1:
            raise ValueError(
                "several addresses have no one name to check: say it in Tls(server_name=…)"
            )
        self.is_plaintext: bool = tls is None and credentials is None
        if credential is not None and self.is_plaintext and not target.is_local:
            raise ValueError(
                f"a credential would travel to {target.text} for anyone to read: pass tls=Tls(…), "
                "or connect by a loopback address or a unix socket"
            )
        self._tls = tls
        self._credential = credential
        self._credentials = credentials
        self._lock = threading.Lock()
        self._next_reading: float | None = None
        self._bearer = _api_key(credential) if isinstance(credential, str) else ""
        self.material: TlsMaterial | None = None
        """What TLS is made of; None without `tls`."""
        self.server_name: str | None = tls.server_name if tls is not None else None

    @property
    def has_client_certificate(self) -> bool:
        """Whether the client shows a certificate of its own, as far as is known."""
        return self._tls is not None and self._tls.certificate is not None

    def is_due(self) -> bool:
        """Whether `read` must be called before the next call. Reads nothing itself."""
        if self._next_reading is not None:
            return time.monotonic() >= self._next_reading
        return self._tls is not None or isinstance(self._credential, ApiKeyFile | JwtFile)

    def read(self) -> None:
        """Reads the files. It blocks.

        Raises:
            ConfigurationError: One cannot be used, and never could.
        """
        with self._lock:
            if not self.is_due():
                return
            self.material = self._read_tls()
            self._bearer = self._read_credential()
            self._next_reading = time.monotonic() + _REREAD_SECONDS

    def channel_credentials(self) -> grpc.ChannelCredentials | None:
        """Returns what to make a channel of; None: a plaintext one."""
        return self.material.credentials() if self.material is not None else self._credentials

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Returns what shows who calls.

        Raises:
            ConfigurationError: The function for it returns no credential.
        """
        if callable(self._credential):
            return _authorization(_usable("what the credential function returns", self._credential))
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
        what = f"the {noun} file {credential.path}"
        try:
            text = _usable(what, lambda: _text(what, credential.path))
            if isinstance(credential, JwtFile) and not _JWT.fullmatch(text):
                raise unusable(f"{what} holds no JWT", "check which file that is")
        except ConfigurationError:
            if not self._bearer:
                raise
            return self._bearer
        return text


def _check_types(tls: object, credential: object) -> None:
    """Refuses what would fail at the first call only, or be left out in silence."""
    if tls is not None and not isinstance(tls, Tls):
        raise unusable("tls must be Tls(…)", "Tls() trusts public CAs, Tls(ca=…) one of yours")
    is_known = isinstance(credential, str | ApiKeyFile | JwtFile) or callable(credential)
    if credential is not None and not is_known:
        raise unusable(
            "credential must be text or say where it is",
            "give an API key as str, ApiKeyFile(path), JwtFile(path), or a function that returns "
            "one",
        )


def _api_key(text: str) -> str:
    try:
        return _checked("the API key", text)
    except ValueError as error:
        advice = "strip the line break, or use ApiKeyFile(path)"
        raise unusable(str(error), advice) from None


def _authorization(bearer: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {bearer}"),)


def _checked(what: str, credential: object) -> str:
    """Returns a credential if it can be sent; what it is, is never said."""
    if not isinstance(credential, str) or not _VISIBLE_ASCII.fullmatch(credential):
        raise ValueError(f"{what} must be visible ASCII characters without spaces, and not empty")
    return credential


def _usable(what: str, find: Callable[[], object]) -> str:
    try:
        return _checked(what, find())
    except ValueError as error:
        if isinstance(error, ConfigurationError):
            raise
        raise unusable(str(error), "check where it comes from") from None


def _text(what: str, path: str | PathLike[str]) -> str:
    return _bytes(what, path).decode("ascii", "replace").strip()


def _bytes(what: str, path: str | PathLike[str]) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        advice = "check that it is there and may be read"
        raise unusable(f"{what} cannot be read ({error.strerror})", advice) from None


def _pem(name: str, source: PemSource | None) -> bytes | None:
    if source is None:
        return None
    if isinstance(source, bytes):
        what, content = f"Tls.{name}", source
    else:
        what = f"the {name} file {source}"
        content = _bytes(what, source)
    if _PEM not in content:
        raise unusable(f"{what} is not PEM", f"it must have a line like {_PEM.decode()}…")
    return content


def unusable(problem: str, advice: str) -> ConfigurationError:
    """Returns the error for what the client was told to use and cannot."""
    return ConfigurationError(
        f"{problem}: {advice}", reason="UNUSABLE_CONFIGURATION", advice=advice
    )
