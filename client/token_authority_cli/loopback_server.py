"""An HTTP server on loopback that bounds its connections and the time of a request."""

import io
import socket
import socketserver
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

HOST: Final = "127.0.0.1"
MAX_CONNECTIONS: Final = 32
"""Open connections. One more closes the oldest, so that idle ones do not keep others out."""
REQUEST_SECONDS: Final = 10.0
"""The time limit for receiving a request, and for sending an answer."""


class LoopbackServer(ThreadingHTTPServer):
    """Serves HTTP on 127.0.0.1, each connection in a thread.

    Args:
        port: 1 to 65535; 0: any that is free.
        handler: Handles a connection.

    Raises:
        OSError: The port cannot be listened on.
    """

    # A second process must not get a share of the requests.
    allow_reuse_port = False
    daemon_threads = True

    def __init__(self, port: int, handler: type[BaseHTTPRequestHandler]) -> None:
        self._open: dict[socket.socket, None] = {}
        self._lock = threading.Lock()
        super().__init__((HOST, port), handler)

    def server_bind(self) -> None:
        """Binds, without http.server's lookup of this host's name, which may take long."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answers in a thread; closes the oldest connection if there are too many."""
        with self._lock:
            if len(self._open) >= MAX_CONNECTIONS:
                self._cut(next(iter(self._open)))
            self._open[request] = None
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Closes a connection."""
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def _cut(self, request: socket.socket) -> None:
        del self._open[request]
        try:
            # Its thread reads the end of the stream, and closes it.
            request.shutdown(socket.SHUT_RDWR)
        except OSError:
            # The client was faster.
            return


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
