"""One request for a key set: to one server, within one deadline, and shown to nobody else.

Not urllib: it follows redirects, bearer token included, and its deadlines are for each read alone,
which a server that sends a byte now and then never misses.
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
"""How long a request may take, all in all."""
# A key set of a large provider has some ten keys of 2 KB.
_MAX_BYTES: Final = 1_048_576
# RFC 7517, section 8.5; a Kubernetes API server answers 406 to application/json alone.
_ACCEPT: Final = "application/jwk-set+json, application/json"


class JwksError(Exception):
    """A key set that cannot be had or used; the message says why."""


@dataclass(frozen=True, slots=True)
class Location:
    """Where a key set is served, and how to ask for it."""

    url: str
    """`https://…`, or `http://` on a loopback address."""
    ca: bytes | None = None
    """PEM certificates to trust instead of the system's."""
    token_file: Path | None = None
    """A file with a bearer token, read at each fetch: Kubernetes wants a service account's."""

    @property
    def shown(self) -> str:
        """The URL as messages may show it: without a query, which may hold a key."""
        return self.url.partition("?")[0].partition("#")[0]


class JwksRequest:
    """Asks once; `send` runs in a thread, and another may cut it short."""

    def __init__(self, location: Location) -> None:
        self._location = location
        self._socket: socket.socket | None = None
        self._is_cut = False

    def send(self) -> bytes:
        """Fetches a key set.

        Raises:
            JwksError: There is no answer, or not one of ours.
        """
        try:
            return self._answer()
        except (OSError, ValueError, http.client.HTTPException) as error:
            # They name the host, a file or a reason, never a header of ours.
            raise JwksError(f"cannot be fetched: {error or type(error).__name__}") from None
        finally:
            self.cut()
            if self._socket:
                self._socket.close()

    def cut(self) -> None:
        """Ends whatever `send` waits for."""
        self._is_cut = True
        if self._socket:
            with contextlib.suppress(OSError):
                # Not ssl's own, which would take the socket's TLS away under `send`.
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
                # Asked for no more than it may have, http.client does not mind a lack.
                raise JwksError("cannot be fetched: the answer was cut short")
            return data

    def _connected(self, host: str, port: int | None, *, is_tls: bool) -> socket.socket:
        address = host, port or (443 if is_tls else 80)
        self._socket = plain = socket.create_connection(address, TIMEOUT_SECONDS)
        if is_tls:
            ca = self._location.ca
            context = ssl.create_default_context(cadata=ca.decode() if ca else None)
            secure = context.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
            self._socket = secure
            secure.do_handshake()
        if self._is_cut:
            raise JwksError("cannot be fetched: was given up")
        return self._socket

    def _headers(self) -> dict[str, str]:
        headers = {"Accept": _ACCEPT, "Connection": "close"}
        if file := self._location.token_file:
            token = file.read_bytes().strip()
            # http.client would quote the whole of it.
            if not token.isascii() or not token.decode("ascii").isprintable():
                raise JwksError(f"cannot be fetched: {file} is not one line of ASCII text")
            headers["Authorization"] = f"Bearer {token.decode('ascii')}"
        return headers
