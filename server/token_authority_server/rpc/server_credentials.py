"""TLS listeners whose certificates change while they serve."""

from typing import Any

import grpc

from token_authority_server.config.server_identity import ServerIdentity


class ServerCertificates:
    """What TLS listeners present, and whose client certificates they trust.

    gRPC asks at each handshake, on a thread of its own; connections that exist go on.
    """

    def __init__(self, identity: ServerIdentity) -> None:
        self._identity = identity

    def replace(self, identity: ServerIdentity) -> None:
        """Presents another certificate from the next handshake on."""
        self._identity = identity

    def credentials(self, *, mutual: bool) -> grpc.ServerCredentials:
        """Returns credentials for a listener.

        Args:
            mutual: Whether it demands a client certificate that `client_ca` signed.
        """
        # TLS 1.2 and newer is what gRPC offers, and all it offers.
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
