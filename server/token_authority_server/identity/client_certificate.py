"""What a client certificate says, once TLS has found it to be good."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from cryptography import x509

from token_authority_server.errors import credential_invalid
from token_authority_server.identity.directory import DNS, SPIFFE


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A verified certificate."""

    names: frozenset[str]
    """Whose it is, as the configuration writes it: `spiffe://…`, `dns:…`; never a common name."""
    ends_at: float
    """Seconds since 1970."""


# Callers keep a certificate for hours: reading one takes 50 µs.
@lru_cache(maxsize=1024)
def client_certificate(pem: bytes) -> ClientCertificate:
    """Reads a certificate.

    Not grpc's own `peer_dns` and `peer_spiffe_id`: its Python cuts names off at a NUL, so that
    whoever owns `a`, NUL, `.example.org` would be `a`.

    Raises:
        Refusal: CREDENTIAL_INVALID: it cannot be read.
    """
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        names = frozenset(_names(certificate.extensions))
    except ValueError:
        raise credential_invalid("a certificate that cannot be read") from None
    return ClientCertificate(names, certificate.not_valid_after_utc.timestamp())


def _names(extensions: x509.Extensions) -> Iterator[str]:
    try:
        found = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return
    for name in found.get_values_for_type(x509.DNSName):
        yield f"{DNS}{name}"
    uris = found.get_values_for_type(x509.UniformResourceIdentifier)
    # SPIFFE: an identity document has one URI, and one that has several is none.
    if len(uris) == 1 and uris[0].startswith(SPIFFE):
        yield uris[0]
