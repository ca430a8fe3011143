"""What TLS listeners present: a plain value, without grpc."""

from dataclasses import dataclass

from token_authority_server.keyring import Secret


@dataclass(frozen=True, slots=True)
class ServerIdentity:
    """A certificate with its key, and whose client certificates are trusted."""

    certificate: bytes
    """PEM: the server's certificate first."""
    private_key: Secret
    """PEM."""
    client_ca: bytes | None
    """PEM; None where client certificates are not asked for."""
