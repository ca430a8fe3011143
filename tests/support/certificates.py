"""Throwaway certificates as values."""

from pathlib import Path

import trustme

from token_authority_server.config.server_identity import ServerIdentity
from token_authority_server.keyring import Secret


def server_identity(
    ca: trustme.CA, client_ca: trustme.CA | None = None, *names: str
) -> ServerIdentity:
    """Returns a server's certificate and key, and the CA of the clients that it trusts."""
    issued = ca.issue_cert(*(names or ("localhost", "127.0.0.1")))
    chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
    trusted = client_ca.cert_pem.bytes() if client_ca else None
    return ServerIdentity(chain, Secret(issued.private_key_pem.bytes().decode()), trusted)


def write_tls(folder: Path, ca: trustme.CA | None = None) -> bytes:
    """Writes `tls.pem` and `tls.key`; returns the CA's certificate in PEM."""
    ca = ca or trustme.CA()
    shown = server_identity(ca)
    (folder / "tls.pem").write_bytes(shown.certificate)
    (folder / "tls.key").write_text(shown.private_key.reveal())
    return ca.cert_pem.bytes()
