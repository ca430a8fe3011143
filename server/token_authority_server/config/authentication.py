"""`[authentication]` and `[server.tls]`: credentials of callers, and the server's certificate."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cached_property
from ipaddress import ip_address
from typing import Annotated, Final
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema, model_validator

from token_authority_server.config.section import Section
from token_authority_server.config.server_identity import ServerIdentity
from token_authority_server.config.values import (
    PATH_SCHEMA,
    DurationText,
    FilePath,
    sources_of,
    up_to,
)
from token_authority_server.identity.jwks import KeySet, VerificationKey, parse
from token_authority_server.identity.jwks_fetch import JwksError, Location
from token_authority_server.keyring import Secret

_UNREADABLE: Final = (ValueError, x509.InvalidVersion, UnsupportedAlgorithm)
"""What parsing a certificate raises."""


def _file(value: object, info: ValidationInfo) -> bytes:
    """Returns the bytes of the file at a path."""
    if not isinstance(value, str):
        raise ValueError('must be the path of a file, like "tls.pem"')  # noqa: TRY004  # pydantic
    return sources_of(info).read(value)


def _jwks(value: object, info: ValidationInfo) -> object:
    if isinstance(value, str):
        return _url(value)
    match value:
        case {"file": str(name)}:
            try:
                return parse(sources_of(info).read(name))
            except JwksError as error:
                raise ValueError(f"{name} {error}") from None
        case _:
            raise ValueError('must be "https://…" or { file = "PATH" }')


def _url(value: str) -> str:
    if not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError("must be printable ASCII characters without spaces")
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        raise ValueError("must be a URL with a host and, optionally, a port up to 65535") from None
    if parts.username is not None or not parts.hostname:
        raise ValueError("must be a URL with a host and without a password")
    try:
        is_loopback = ip_address(parts.hostname).is_loopback
    except ValueError:
        is_loopback = False
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback):
        raise ValueError(
            "must be an https:// URL: over http, an attacker could replace the keys and "
            "impersonate any caller"
        )
    return value


FileBytes = Annotated[bytes, BeforeValidator(_file), PATH_SCHEMA]
_JWKS_SCHEMA = WithJsonSchema(
    {
        "anyOf": [
            {"type": "string", "pattern": "^https?://"},
            {
                "type": "object",
                "properties": {"file": {"type": "string"}},
                "required": ["file"],
            },
        ]
    }
)


class JwtSettings(Section):
    """`[authentication.jwt]`: JWTs of one issuer, e.g. Kubernetes service-account tokens."""

    issuer: Annotated[str, Field(min_length=1)]
    """The `iss` claim that JWTs must have, exactly."""

    audience: Annotated[str, Field(min_length=1)]
    """The `aud` claim that JWTs must have: this service. JWTs for other audiences are rejected."""

    jwks: Annotated[str | KeySet, BeforeValidator(_jwks), _JWKS_SCHEMA]
    """The issuer's keys: a URL (`https://…`), or `{ file = "PATH" }`."""

    jwks_ca: FileBytes | None = None
    """The CA certificates (PEM) to trust for the `jwks` URL; absent: the system's."""

    jwks_token_file: FilePath | None = None
    """A file with the bearer token for the `jwks` URL, read at each fetch; Kubernetes needs it."""

    leeway: Annotated[DurationText, up_to(timedelta(minutes=5), "5m")] = timedelta(seconds=30)
    """The tolerated clock difference between issuer and server. 0s to 5m."""

    @model_validator(mode="after")
    def _check(self) -> "JwtSettings":
        if not isinstance(self.jwks, str) and (self.jwks_ca or self.jwks_token_file):
            raise ValueError("jwks_ca and jwks_token_file require a URL in jwks")
        return self

    def fixed_keys(self) -> tuple[VerificationKey, ...]:
        """Returns the keys if `jwks` is a file; empty if it is a URL."""
        return () if isinstance(self.jwks, str) else self.jwks.keys

    def skipped_keys(self) -> tuple[str, ...]:
        """Returns a sentence for each unusable key of the file; empty if `jwks` is a URL."""
        return () if isinstance(self.jwks, str) else self.jwks.skipped

    def location(self) -> Location | None:
        """Returns the location to fetch the keys from; None if `jwks` is a file."""
        if not isinstance(self.jwks, str):
            return None
        return Location(self.jwks, self.jwks_ca, self.jwks_token_file)


class AuthenticationSettings(Section):
    """`[authentication]`: credentials accepted besides client certificates and API keys."""

    jwt: JwtSettings | None = None
    """Absent: JWTs are rejected."""


def _key(value: object, info: ValidationInfo) -> Secret:
    return Secret(_file(value, info).decode("latin-1"))


class TlsSettings(Section):
    """`[server.tls]`: the server's certificate and the client CA. Reloaded when a file changes."""

    certificate: FileBytes
    """A PEM file: the server's certificate, then its intermediates."""

    private_key: Annotated[Secret, BeforeValidator(_key), PATH_SCHEMA]
    """A PEM file: the certificate's private key, without a passphrase."""

    client_ca: FileBytes | None = None
    """A PEM file: the CA of client certificates, for `mtls_listen`."""

    @model_validator(mode="after")
    def _check(self) -> "TlsSettings":
        _check_pair(self.certificate, self.private_key)
        try:
            # Here, as the event loop asks for them twice a second.
            _ = self.expiries
        except _UNREADABLE:
            raise ValueError("client_ca contains no readable PEM certificate") from None
        return self

    @cached_property
    def expiries(self) -> Mapping[str, datetime]:
        """When the server's certificate and the first client CA expire, in UTC."""
        expiries = {"server": _first_expiry(self.certificate, 1)}
        if self.client_ca is not None:
            expiries["client_ca"] = _first_expiry(self.client_ca)
        return expiries

    def not_after(self) -> datetime:
        """Returns when the server's certificate expires, in UTC."""
        return self.expiries["server"]

    def identity(self) -> ServerIdentity:
        """Returns the certificate, key and client CA of the listeners."""
        return ServerIdentity(self.certificate, self.private_key, self.client_ca)


def _first_expiry(pem: bytes, count: int | None = None) -> datetime:
    """Returns when the first of some certificates expires.

    Raises:
        ValueError: There is none, or one cannot be read.
    """
    certificates = x509.load_pem_x509_certificates(pem)[:count]
    return min(one.not_valid_after_utc for one in certificates)


def _check_pair(certificate: bytes, private_key: Secret) -> None:
    try:
        shown = x509.load_pem_x509_certificates(certificate)[0].public_key()
    except _UNREADABLE:
        raise ValueError("certificate contains no readable PEM certificate") from None
    try:
        key = load_pem_private_key(private_key.reveal().encode("latin-1"), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError(
            "private_key contains no readable PEM key, or has a passphrase: remove the passphrase"
        ) from None
    if key.public_key() != shown:
        raise ValueError(
            "private_key does not match certificate: set the key of the server's certificate, and "
            "put that certificate first"
        )
