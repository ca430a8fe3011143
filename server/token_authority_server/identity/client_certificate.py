"""Client certificates of mTLS: reads the names in a certificate that TLS has verified."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from cryptography import x509

from token_authority_server.errors import credential_invalid
from token_authority_server.identity.directory import DNS, SPIFFE

# OpenSSL accepts certificates that cryptography does not.
_UNPARSABLE: Final = (
    ValueError,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A certificate that TLS has verified."""

    names: frozenset[str]
    """Its SPIFFE ID and DNS names, as the configuration writes them: `spiffe://…`, `dns:…`. Never
    the common name."""
    ends_at: float
    """End of its validity, in seconds since 1970."""


# Callers keep a certificate for hours, and parsing one takes 50 µs.
@lru_cache(maxsize=1024)
def client_certificate(pem: bytes) -> ClientCertificate:
    """Parses a certificate.

    grpc's own `peer_dns` and `peer_spiffe_id` are not used: grpc's Python API truncates names at a
    NUL character, so the owner of "a<NUL>.example.org" would pass for "a".

    Raises:
        Refusal: CREDENTIAL_INVALID: the certificate cannot be parsed.
    """
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        names = frozenset(_names(certificate.extensions))
    except _UNPARSABLE:
        raise credential_invalid("the client certificate cannot be parsed") from None
    return ClientCertificate(names, certificate.not_valid_after_utc.timestamp())


def _names(extensions: x509.Extensions) -> Iterator[str]:
    try:
        found = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return
    for name in found.get_values_for_type(x509.DNSName):
        yield f"{DNS}{name}"
    uris = found.get_values_for_type(x509.UniformResourceIdentifier)
    # An X.509-SVID has exactly one URI (SPIFFE X509-SVID, section 2).
    if len(uris) == 1 and uris[0].startswith(SPIFFE):
        yield uris[0]
