"""TLS contexts of Python for the diagnosis of connections."""

import os
import pkgutil
import ssl

from token_authority_client._diagnosis import Diagnosed
from token_authority_client._security import TlsMaterial


def tls_context(material: TlsMaterial | None) -> ssl.SSLContext:
    """Returns a context that trusts the same CAs as gRPC; without material, any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["h2"])
    if material is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    roots = material.ca or pkgutil.get_data("grpc", "_cython/_credentials/roots.pem")
    if roots is None:
        context.load_default_certs()
        return context
    try:
        # The roots of grpcio 1.78 have comments that are not ASCII.
        context.load_verify_locations(cadata=roots.decode("ascii", "ignore"))
    except (ssl.SSLError, ValueError):
        raise Diagnosed(
            "TLS_CA_UNUSABLE", "ca contains no readable certificate", "check the PEM file"
        ) from None
    if material.certificate and material.private_key and hasattr(os, "memfd_create"):
        _show_certificate(context, material.certificate + b"\n" + material.private_key)
    return context


def _show_certificate(context: ssl.SSLContext, pem: bytes) -> None:
    """Loads a client certificate into the context, which reads only files: here one in memory."""
    file = os.memfd_create("token-authority-probe")
    try:
        os.write(file, pem)
        context.load_cert_chain(f"/proc/self/fd/{file}")
    except ssl.SSLError:
        raise Diagnosed(
            "CLIENT_CERTIFICATE_UNUSABLE",
            "the client certificate and private_key do not match",
            "pass the private key of the certificate",
        ) from None
    finally:
        os.close(file)
