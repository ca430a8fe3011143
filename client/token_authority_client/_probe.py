"""Diagnoses why no server answers, with Python's sockets and TLS: gRPC's errors lack the cause.

It runs after a call has failed, and for `token-authority doctor`. It blocks for a
second, for two at most.
"""

import math
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Final

from token_authority_client import _diagnosis
from token_authority_client._diagnosis import Diagnosed, Diagnosis
from token_authority_client._dial import LIMIT_SECONDS, Route, routes_to
from token_authority_client._security import Security
from token_authority_client._target import Endpoint, Target
from token_authority_client._tls_context import tls_context

# The connection preface of HTTP/2 with an empty SETTINGS frame (RFC 9113, 3.4).
_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])


@dataclass(frozen=True, slots=True)
class TlsSession:
    """The result of a TLS handshake."""

    version: str
    """Such as `TLSv1.3`."""
    cipher: str
    """The cipher suite."""
    names: tuple[str, ...] = field(default=())
    """The names in the server's certificate; empty if it was not verified."""
    expires: str = ""
    """When the server's certificate expires."""


class SharedDiagnosis:
    """Diagnoses a target, once for calls that fail at about the same time.

    A diagnosis is used again for as long as it took: calls do not queue for it, and it is hardly
    older than a server that has returned in the meantime.
    """

    def __init__(self, target: Target, security: Security) -> None:
        self._target = target
        self._security = security
        self._lock = threading.Lock()
        self._diagnosis: Diagnosis | None = None
        self._valid_until = -math.inf

    def find(self) -> Diagnosis | None:
        """Returns what prevents a connection; None if nothing was found. Blocks for 2 s at most."""
        with self._lock:
            began = time.monotonic()
            if began >= self._valid_until:
                self._diagnosis = diagnose(self._target, self._security)
                ended = time.monotonic()
                self._valid_until = ended + (ended - began)
            return self._diagnosis

    def forget(self) -> None:
        """Discards the last diagnosis, because a call was answered."""
        self._valid_until = -math.inf


def diagnose(target: Target, security: Security) -> Diagnosis | None:
    """Returns what prevents a connection; None if nothing was found. Blocks for 2 s at most.

    If one of several replicas can be reached, the others do not prevent a connection.
    """
    found: list[Diagnosis | None] = []

    def probe() -> None:
        for route in routes_to(target):
            try:
                greet(route, security)
            except Diagnosed as diagnosed:
                found.append(diagnosed.diagnosis)
            except (OSError, ValueError):
                # A cause without a diagnosis; ValueError: a name that TLS cannot send.
                found.append(None)
            else:
                found[:] = [None]
                return

    # Name resolution accepts no timeout. The rest has one, but a busy machine needs longer.
    thread = threading.Thread(target=probe, daemon=True, name="token-authority-probe")
    thread.start()
    thread.join(2 * LIMIT_SECONDS)
    return next(iter(found), None)


def greet(route: Route, security: Security) -> TlsSession | None:
    """Connects, performs the handshakes of TLS and HTTP/2, and closes the connection.

    Returns:
        The TLS session; None for plaintext.

    Raises:
        Diagnosed: The connection or a handshake failed.
        OSError: A handshake failed for a reason without a diagnosis.
    """
    endpoint = route.endpoint
    with route.connect() as connection:
        if security.is_plaintext:
            _greet_in_plaintext(connection, route)
            return None
        # gRPC verifies this name for a unix socket.
        name = security.server_name or endpoint.host or "localhost"
        # Fails like wrap_socket, which would leave the connection open.
        name.encode("idna")
        context = tls_context(security.material)
        try:
            with context.wrap_socket(connection, server_hostname=name) as wrapped:
                session = _session(wrapped)
                _greet_over_tls(wrapped, endpoint, security)
                return session
        except ssl.SSLCertVerificationError as error:
            raise _diagnosis.distrusted(error, endpoint, name, security) from None
        except ssl.SSLError as error:
            raise _diagnosis.broken(error, endpoint, security) from None


def _greet_in_plaintext(connection: socket.socket, route: Route) -> None:
    answer = _answer_to_preface(connection)
    if answer is not None and _is_settings(answer):
        return
    if answer is not None and answer.startswith(b"HTTP/"):
        raise _diagnosis.no_grpc(route.endpoint)
    if _speaks_tls(route):
        raise Diagnosed(
            "TLS_REQUIRED",
            f"{route.endpoint} requires TLS",
            "pass tls=Tls(ca=…) (--tls or --ca)",
        )
    if answer is None:
        raise _diagnosis.silent(route.endpoint, is_tls=False)


def speaks_http2(route: Route) -> bool:
    """Whether a server answers with plaintext HTTP/2 within a quarter of a second.

    Raises:
        Diagnosed: The connection failed.
    """
    with route.connect() as connection:
        return _is_settings(_answer_to_preface(connection) or b"")


def _answer_to_preface(connection: socket.socket) -> bytes | None:
    """Returns the first bytes that a plaintext server sends; None: none in time."""
    connection.settimeout(LIMIT_SECONDS / 4)
    try:
        connection.sendall(_PREFACE)
        return connection.recv(9)
    except TimeoutError:
        return None
    except OSError:
        return b""


def _is_settings(answer: bytes) -> bool:
    """Whether a frame is a SETTINGS frame, by its type in the fourth byte."""
    return answer[3:4] == b"\x04"


def _speaks_tls(route: Route) -> bool:
    context = tls_context(None)
    try:
        with route.connect() as connection:
            connection.settimeout(LIMIT_SECONDS / 2)
            with context.wrap_socket(connection, server_hostname=route.endpoint.host or None):
                return True
    except (OSError, Diagnosed, ValueError):
        return False


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
    """Exchanges the first bytes: in TLS 1.3 the server verifies our certificate only then."""
    wrapped.settimeout(LIMIT_SECONDS / 2)
    if wrapped.selected_alpn_protocol() != "h2":
        raise _diagnosis.no_grpc(endpoint, is_tls=True)
    try:
        wrapped.sendall(_PREFACE)
        answer = wrapped.recv(9)
    except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
        answer = b""
    except ssl.SSLError:
        raise
    except TimeoutError:
        raise _diagnosis.silent(endpoint, is_tls=True) from None
    except OSError:
        answer = b""
    if not answer:
        raise _diagnosis.refused(endpoint, security)
