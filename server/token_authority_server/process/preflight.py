"""Checks what a server needs at its start, for `check-config`."""

from token_authority_server.audit import check_audit_file
from token_authority_server.config import Settings
from token_authority_server.process.explain import check_expectations
from token_authority_server.process.moments import read_moment
from token_authority_server.rpc.unix_socket import ListenError, check_listener, probe_address


def check_start(settings: Settings) -> None:
    """Checks that `serve` could start with these settings, while another server runs.

    Creates, locks and binds nothing that the server needs.

    Raises:
        ConfigError: A test of the configuration fails.
        AuditError: The audit file cannot be written.
        ListenError: An address cannot be listened on.
    """
    check_expectations(settings, read_moment)
    if settings.audit.file:
        check_audit_file(settings.audit.file)
    server = settings.server
    for address in (*server.listen, *server.mtls_listen):
        check_listener(address)
    for address in filter(None, (server.admin_listen, server.health_listen)):
        if error := probe_address(address):
            raise ListenError(f"cannot listen on {address}: {error.strerror}")
