"""`[authentication]` and `[server.tls]`: what shows who asks, and who answers."""

from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Annotated
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import BeforeValidator, Field, ValidationInfo, model_validator

from token_authority_server.config.section import Section
from token_authority_server.config.server_identity import ServerIdentity
from token_authority_server.config.values import DurationText, FilePath, sources_of, up_to
from token_authority_server.identity.jwks import KeySet, VerificationKey, parse
from token_authority_server.identity.jwks_fetch import JwksError, Location
from token_authority_server.keyring import Secret


def _file(value: object, info: ValidationInfo) -> bytes:
    """Reads a file that a path names."""
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
        raise ValueError("must be a URL with a host, and a port up to 65535 if any") from None
    if parts.username is not None or not parts.hostname:
        raise ValueError("must be a URL with a host and without a password")
    try:
        is_loopback = ip_address(parts.hostname).is_loopback
    except ValueError:
        is_loopback = False
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback):
        raise ValueError("must be https://…: whoever can alter the keys can be any caller")
    return value


FileBytes = Annotated[bytes, BeforeValidator(_file)]


class JwtSettings(Section):
    """`[authentication.jwt]`: JWTs of one issuer, Kubernetes service-account tokens among them."""

    issuer: Annotated[str, Field(min_length=1)]
    """Their `iss`, exactly."""

    audience: Annotated[str, Field(min_length=1)]
    """Their `aud`, which has to be this service: a token for another is refused."""

    jwks: Annotated[str | KeySet, BeforeValidator(_jwks)]
    """The issuer's keys: a URL (`https://…`), or `{ file = "PATH" }`."""

    jwks_ca: FileBytes | None = None
    """PEM certificates to trust for that URL; absent: the system's."""

    jwks_token_file: FilePath | None = None
    """A file with a bearer token for that URL, read at each fetch: Kubernetes wants one."""

    leeway: Annotated[DurationText, up_to(timedelta(minutes=5), "5m")] = timedelta(seconds=30)
    """How far the issuer's clock may be from ours. 0s to 5m."""

    @model_validator(mode="after")
    def _check(self) -> "JwtSettings":
        if not isinstance(self.jwks, str) and (self.jwks_ca or self.jwks_token_file):
            raise ValueError("jwks_ca and jwks_token_file go with a URL")
        return self

    def fixed_keys(self) -> tuple[VerificationKey, ...]:
        """Returns the keys of a file; none where a URL has them."""
        return () if isinstance(self.jwks, str) else self.jwks.keys

    def skipped_keys(self) -> tuple[str, ...]:
        """Returns a sentence for each key of a file that cannot be used."""
        return () if isinstance(self.jwks, str) else self.jwks.skipped

    def location(self) -> Location | None:
        """Returns where the keys are fetched from; None where a file has them."""
        if not isinstance(self.jwks, str):
            return None
        return Location(self.jwks, self.jwks_ca, self.jwks_token_file)


class AuthenticationSettings(Section):
    """`[authentication]`: what is accepted besides client certificates and API keys."""

    jwt: JwtSettings | None = None
    """JWTs; absent: none."""


def _key(value: object, info: ValidationInfo) -> Secret:
    return Secret(_file(value, info).decode("latin-1"))


class TlsSettings(Section):
    """`[server.tls]`: what the server shows, and whom it trusts. Read anew when a file changes."""

    certificate: FileBytes
    """A PEM file: the server's certificate, and those between it and the root."""

    private_key: Annotated[Secret, BeforeValidator(_key)]
    """A PEM file: its key, without a passphrase."""

    client_ca: FileBytes | None = None
    """A PEM file: who signs client certificates, for `mtls_listen`."""

    @model_validator(mode="after")
    def _check(self) -> "TlsSettings":
        _check_pair(self.certificate, self.private_key)
        if self.client_ca is not None:
            try:
                x509.load_pem_x509_certificates(self.client_ca)
            except ValueError:
                raise ValueError("client_ca has no PEM certificate that can be read") from None
        return self

    def not_after(self) -> datetime:
        """Returns when the server's certificate expires, in UTC."""
        return x509.load_pem_x509_certificates(self.certificate)[0].not_valid_after_utc

    def identity(self) -> ServerIdentity:
        """Returns what listeners present."""
        return ServerIdentity(self.certificate, self.private_key, self.client_ca)


def _check_pair(certificate: bytes, private_key: Secret) -> None:
    try:
        shown = x509.load_pem_x509_certificates(certificate)[0].public_key()
    except ValueError:
        raise ValueError("certificate has no PEM certificate that can be read") from None
    try:
        key = load_pem_private_key(private_key.reveal().encode("latin-1"), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError(
            "private_key is no PEM key that can be read, or has a passphrase: take that off"
        ) from None
    if key.public_key() != shown:
        raise ValueError("certificate and private_key do not belong together")
