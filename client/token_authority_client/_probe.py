"""Finds out why no server answers, by sockets and TLS of Python's own: grpc's words say too little.

Only calls that have failed come here, and whoever wants to know (`token-authority doctor`). It
blocks, for a second at most.
"""

import errno
import os
import pkgutil
import socket
import ssl
import threading
from dataclasses import dataclass, field
from typing import Any, Final

from token_authority_client import _diagnosis
from token_authority_client._diagnosis import Diagnosed, Diagnosis
from token_authority_client._security import Security, TlsMaterial
from token_authority_client._target import Endpoint, Target

LIMIT_SECONDS: Final = 1.0
# How a connection of HTTP/2 begins, with settings that set nothing (RFC 9113, 3.4).
_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])


@dataclass(frozen=True, slots=True)
class TlsSession:
    """What a handshake came to."""

    version: str
    cipher: str
    names: tuple[str, ...] = field(default=())
    """The names in the server's certificate; empty where it was not checked."""
    expires: str = ""
    """Until when the server's certificate is valid."""


def diagnose(target: Target, security: Security) -> Diagnosis | None:
    """Returns what stands in the way to a server; None if nothing was found. Takes a second."""
    found: list[Diagnosis] = []

    def look() -> None:
        try:
            for endpoint in target.endpoints:
                greet(connect(endpoint), endpoint, security)
        except Diagnosed as diagnosed:
            found.append(diagnosed.diagnosis)
        except OSError:
            # Nothing that we have words for.
            pass

    # Resolvers take no deadline.
    thread = threading.Thread(target=look, daemon=True, name="token-authority-probe")
    thread.start()
    thread.join(LIMIT_SECONDS)
    return found[0] if found else None


def resolve(endpoint: Endpoint) -> list[str]:
    """Returns the addresses of a name.

    Raises:
        Diagnosed: It has none.
    """
    try:
        rows = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise Diagnosed(
            "NAME_NOT_FOUND",
            f"the name {endpoint.host} has no address",
            "check its spelling, and that this machine's DNS knows it",
        ) from None
    return list(dict.fromkeys([str(row[4][0]) for row in rows]))


def connect(endpoint: Endpoint) -> socket.socket:
    """Returns a connection.

    Raises:
        Diagnosed: It cannot be made.
    """
    if endpoint.path:
        return _connect_unix(endpoint)
    resolve(endpoint)
    try:
        return socket.create_connection((endpoint.host, endpoint.port), LIMIT_SECONDS * 0.8)
    except ConnectionRefusedError:
        raise Diagnosed(
            "NOTHING_LISTENS",
            f"nothing listens at {endpoint}",
            "start the token authority there, or correct host and port",
        ) from None
    except OSError as error:
        raise Diagnosed(
            "NO_ROUTE",
            f"{endpoint} does not answer ({_words(error)})",
            "check host and port, and that no firewall or network policy is in between",
        ) from None


def _connect_unix(endpoint: Endpoint) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(endpoint.path)
    except OSError as error:
        connection.close()
        advice = "start the token authority with this socket, or correct the path"
        if error.errno in {errno.EACCES, errno.EPERM}:
            advice = "run as a user or group that may open it"
        raise Diagnosed(
            "NOTHING_LISTENS", f"{endpoint} cannot be opened ({_words(error)})", advice
        ) from None
    connection.settimeout(LIMIT_SECONDS / 2)
    return connection


def greet(connection: socket.socket, endpoint: Endpoint, security: Security) -> TlsSession | None:
    """Opens a connection as grpc would, closes it, and returns what TLS came to, if it is spoken.

    Raises:
        Diagnosed: The server does not go along.
        OSError: It does not, for reasons unknown.
    """
    with connection:
        if security.is_plaintext:
            _greet_in_plaintext(connection, endpoint)
            return None
        name = security.server_name or endpoint.host
        context = _context(security.material)
        try:
            with context.wrap_socket(connection, server_hostname=name) as wrapped:
                session = _session(wrapped)
                _greet_over_tls(wrapped, endpoint, security)
                return session
        except ssl.SSLCertVerificationError as error:
            raise _diagnosis.distrusted(error, endpoint, name, security) from None
        except ssl.SSLError as error:
            raise _diagnosis.broken(error, endpoint, security) from None


def _greet_in_plaintext(connection: socket.socket, endpoint: Endpoint) -> None:
    answer = _answer_to_preface(connection)
    if _is_settings(answer):
        return
    if answer.startswith(b"HTTP/"):
        raise _diagnosis.no_grpc(endpoint)
    if _speaks_tls(endpoint):
        raise Diagnosed(
            "TLS_REQUIRED",
            f"{endpoint} speaks TLS, and no plaintext",
            "ask for TLS: tls=Tls(ca=…) in Python, --tls or --ca on the command line",
        )


def speaks_http2(endpoint: Endpoint) -> bool:
    """Whether HTTP/2 is spoken there, in plaintext. A server that takes its time does not, here.

    Raises:
        Diagnosed: No connection can be made.
    """
    with connect(endpoint) as connection:
        return _is_settings(_answer_to_preface(connection))


def _answer_to_preface(connection: socket.socket) -> bytes:
    connection.settimeout(LIMIT_SECONDS / 4)
    try:
        connection.sendall(_PREFACE)
        return connection.recv(9)
    except OSError:
        return b""


def _is_settings(answer: bytes) -> bool:
    """Whether it is a frame of settings, by its type: the fourth byte."""
    return answer[3:4] == b"\x04"


def _speaks_tls(endpoint: Endpoint) -> bool:
    context = _context(None)
    try:
        with (
            connect(endpoint) as connection,
            context.wrap_socket(connection, server_hostname=endpoint.host or None),
        ):
            return True
    except (OSError, Diagnosed, ValueError):
        return False


def _context(material: TlsMaterial | None) -> ssl.SSLContext:
    """Returns a context that trusts as grpc does; without material, anyone."""
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
            "TLS_CA_UNUSABLE", "ca holds no certificate that can be read", "check that PEM file"
        ) from None
    if material.certificate and material.private_key and hasattr(os, "memfd_create"):
        _show_certificate(context, material.certificate + b"\n" + material.private_key)
    return context


def _show_certificate(context: ssl.SSLContext, pem: bytes) -> None:
    """Gives the context a client certificate; ssl takes files only, and this one has no disk."""
    file = os.memfd_create("token-authority-probe")
    try:
        os.write(file, pem)
        context.load_cert_chain(f"/proc/self/fd/{file}")
    except ssl.SSLError:
        raise Diagnosed(
            "CLIENT_CERTIFICATE_UNUSABLE",
            "the client's certificate and private key do not go together",
            "check that the key is the certificate's",
        ) from None
    finally:
        os.close(file)


def _session(wrapped: ssl.SSLSocket) -> TlsSession:
    certificate: dict[str, Any] = dict(wrapped.getpeercert() or {})
    cipher = wrapped.cipher()
    return TlsSession(
        version=wrapped.version() or "",
        cipher=cipher[0] if cipher else "",
        names=tuple([str(value) for _, value in certificate.get("subjectAltName", ())]),
        expires=str(certificate.get("notAfter", "")),
    )


def _greet_over_tls(wrapped: ssl.SSLSocket, endpoint: Endpoint, security: Security) -> None:
    """Exchanges the first bytes: only then does TLS 1.3 tell whether it takes our certificate."""
    wrapped.settimeout(LIMIT_SECONDS / 2)
    if wrapped.selected_alpn_protocol() != "h2":
        raise _diagnosis.no_grpc(endpoint)
    try:
        wrapped.sendall(_PREFACE)
        answer = wrapped.recv(9)
    except ssl.SSLError:
        raise
    except TimeoutError:
        return
    except OSError:
        answer = b""
    if not answer:
        raise _diagnosis.refused(endpoint, security, "without a word")


def _words(error: OSError) -> str:
    if isinstance(error, TimeoutError) or not error.strerror:
        return "no answer in time"
    return error.strerror
