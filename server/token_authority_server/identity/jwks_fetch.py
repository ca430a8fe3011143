"""Fetches a key set with one HTTP request, without following redirects, within one deadline.

Not urllib, which follows redirects, bearer token included, and applies its timeout to each read
alone, so that a server that sends a byte now and then can hold a request for ever.
"""

import contextlib
import http.client
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

TIMEOUT_SECONDS: Final = 3.0
"""Deadline of a whole request."""
# Large providers publish about ten keys of 2 KB.
_MAX_BYTES: Final = 1_048_576
# Characters of an error.
_MAX_SHOWN: Final = 200
# RFC 7517, section 8.5; a Kubernetes API server answers 406 to application/json alone.
_ACCEPT: Final = "application/jwk-set+json, application/json"


class JwksError(Exception):
    """A key set that cannot be fetched or used; the message completes "the key set …"."""


@dataclass(frozen=True, slots=True)
class Location:
    """URL of a key set, and how to request it."""

    url: str
    """`https://…`, or `http://` on a loopback address."""
    ca: bytes | None = None
    """PEM certificates to trust instead of the system's."""
    token_file: Path | None = None
    """File with a bearer token, read at each fetch; Kubernetes requires a service account's."""

    @property
    def shown(self) -> str:
        """The URL, redacted for messages: without its query, which may contain a key."""
        return self.url.partition("?")[0].partition("#")[0]


class JwksRequest:
    """A single request. `send` blocks a thread; `abort` ends it from another thread."""

    def __init__(self, location: Location) -> None:
        self._location = location
        self._socket: socket.socket | None = None
        self._is_aborted = False

    def send(self) -> bytes:
        """Fetches a key set.

        Raises:
            JwksError: The request failed, or its answer is unusable.
        """
        try:
            return self._answer()
        except (OSError, ValueError, http.client.HTTPException) as error:
            # These messages name the host, a file or a reason, never a request header.
            raise JwksError(f"cannot be fetched: {_shown(error) or type(error).__name__}") from None
        finally:
            self.abort()
            if self._socket:
                self._socket.close()

    def abort(self) -> None:
        """Makes `send` fail soon, whatever it is waiting for."""
        self._is_aborted = True
        if self._socket:
            with contextlib.suppress(OSError):
                # Not SSLSocket.shutdown, which would remove the TLS layer that `send` is using.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def _answer(self) -> bytes:
        parts = urlsplit(self._location.url)
        headers = self._headers()
        host = parts.hostname or ""
        connection = http.client.HTTPConnection(host, parts.port)
        connection.sock = self._connected(host, parts.port, is_tls=parts.scheme == "https")
        path = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
        connection.request("GET", path, headers={"Host": parts.netloc, **headers})
        with connection.getresponse() as response:
            if response.status != http.client.OK:
                raise JwksError(f"cannot be fetched: HTTP status {response.status}")
            data = response.read(_MAX_BYTES + 1)
            if len(data) > _MAX_BYTES:
                raise JwksError(f"is larger than {_MAX_BYTES} bytes")
            if response.length:
                # read(n) does not report a body that ends early.
                raise JwksError("cannot be fetched: the answer was cut short")
            return data

    def _connected(self, host: str, port: int | None, *, is_tls: bool) -> socket.socket:
        address = host, port or (443 if is_tls else 80)
        self._socket = plain = socket.create_connection(address, TIMEOUT_SECONDS)
        if is_tls:
            secure = _tls_context(self._location.ca).wrap_socket(
                plain, server_hostname=host, do_handshake_on_connect=False
            )
            self._socket = secure
            secure.do_handshake()
        if self._is_aborted:
            raise JwksError("cannot be fetched: the request was aborted")
        return self._socket

    def _headers(self) -> dict[str, str]:
        headers = {"Accept": _ACCEPT, "Connection": "close"}
        if file := self._location.token_file:
            token = file.read_bytes().strip()
            # http.client would quote the token in its error.
            if not token.isascii() or not token.decode("ascii").isprintable():
                raise JwksError(f"cannot be fetched: {file} is not one line of ASCII text")
            headers["Authorization"] = f"Bearer {token.decode('ascii')}"
        return headers


def _shown(error: Exception) -> str:
    """Returns the message of an error, which may quote the answer: cut, and on one line."""
    return "".join([char if char.isprintable() else "?" for char in str(error)[:_MAX_SHOWN]])


def _tls_context(ca: bytes | None) -> ssl.SSLContext:
    """Returns a context that trusts the given PEM certificates only, or the system's.

    Raises:
        ValueError: There is no certificate in `ca`.
    """
    if ca is None:
        return ssl.create_default_context()
    # Comments may have any characters; ssl accepts ASCII only.
    text = ca.decode("ascii", "ignore")
    if not text.strip():
        # Without data, ssl would trust the system's certificates.
        raise ValueError("jwks_ca has no certificate")
    return ssl.create_default_context(cadata=text)
