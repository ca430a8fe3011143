"""Server credentials for TLS and mTLS listeners; certificate rotation needs no restart."""

from typing import Any

import grpc

from token_authority_server.config.server_identity import ServerIdentity


class ServerCertificates:
    """The certificate that TLS listeners present, and the client CA that mTLS listeners trust.

    gRPC reads them at each handshake, on one of its threads. Open connections are unaffected.
    """

    def __init__(self, identity: ServerIdentity) -> None:
        self._identity = identity

    def replace(self, identity: ServerIdentity) -> None:
        """Replaces the certificate from the next handshake on."""
        self._identity = identity

    def credentials(self, *, mutual: bool) -> grpc.ServerCredentials:
        """Returns credentials for a listener.

        Args:
            mutual: Whether the listener requires a client certificate signed by `client_ca`.
        """
        # gRPC offers TLS 1.2 and newer only, and has no option for it.
        shown = self._identity

        def changed() -> Any:
            nonlocal shown
            latest = self._identity
            if latest == shown:
                return None
            shown = latest
            return _configuration(latest, mutual=mutual)

        return grpc.dynamic_ssl_server_credentials(
            _configuration(shown, mutual=mutual), changed, require_client_authentication=mutual
        )


def _configuration(identity: ServerIdentity, *, mutual: bool) -> Any:
    pair = (identity.private_key.reveal().encode("latin-1"), identity.certificate)
    return grpc.ssl_server_certificate_configuration(
        [pair], root_certificates=identity.client_ca if mutual else None
    )
