"""Throwaway certificates as files."""

from pathlib import Path

import trustme

from token_authority_client import Tls


def pem_files(folder: Path, ca: trustme.CA, client: trustme.LeafCert | None = None) -> Tls:
    """Writes a CA's certificate and optionally a client's; returns the settings that name them."""
    ca_file = folder / "ca.pem"
    ca.cert_pem.write_to_path(ca_file)
    if client is None:
        return Tls(ca=ca_file)
    certificate, key = folder / "client.pem", folder / "client-key.pem"
    client.cert_chain_pems[0].write_to_path(certificate)
    client.private_key_pem.write_to_path(key)
    return Tls(ca=ca_file, certificate=certificate, private_key=str(key))
