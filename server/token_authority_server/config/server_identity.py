"""The TLS identity of the server, independent of grpc."""

from dataclasses import dataclass

from token_authority_server.keyring import Secret


@dataclass(frozen=True, slots=True)
class ServerIdentity:
    """The server's certificate and private key, and the CAs of client certificates."""

    certificate: bytes
    """PEM chain; the server's certificate comes first."""
    private_key: Secret
    """PEM."""
    client_ca: bytes | None
    """PEM; None: client certificates are not requested."""
