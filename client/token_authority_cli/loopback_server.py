"""An HTTP server on loopback that bounds its connections and the time of a request."""

import io
import socket
import time
from http.server import BaseHTTPRequestHandler
from typing import Any, Final

from token_authority_server.telemetry.bounded_http import BoundedHttpServer

HOST: Final = "127.0.0.1"
MAX_CONNECTIONS: Final = 32
"""Open connections; see BoundedHttpServer."""
REQUEST_SECONDS: Final = 10.0
"""The time limit for receiving a request, and for sending an answer."""


class LoopbackServer(BoundedHttpServer):
    """Serves HTTP on 127.0.0.1.

    Args:
        port: 1 to 65535; 0: any that is free.
        handler: Handles a connection.

    Raises:
        OSError: The port cannot be listened on.
    """

    max_connections = MAX_CONNECTIONS

    def __init__(self, port: int, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__((HOST, port), handler)


class TimedReader(io.RawIOBase):
    """Reads a request until its time limit; a timeout per read would let a client drip bytes."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._end = time.monotonic() + REQUEST_SECONDS

    def readable(self) -> bool:
        """Returns True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Receives some bytes.

        Raises:
            TimeoutError: The time limit is over.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
        return self._connection.recv_into(buffer)
