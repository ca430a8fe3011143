"""An HTTP server that bounds its connections. Standard library only: the command line uses it."""

import socket
import socketserver
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar


class BoundedHttpServer(ThreadingHTTPServer):
    """Serves HTTP, each connection in a daemon thread.

    Args:
        address: Host and port; port 0: any that is free.
        handler: Handles a connection.

    Raises:
        OSError: The address cannot be listened on.
    """

    max_connections: ClassVar[int]
    """Open connections. One more closes the oldest, so that idle ones do not keep others out."""
    # With five, which is socketserver's, a few idle clients keep others waiting for a second.
    request_queue_size = 128
    # Some Python versions set it: a second process would get a share of the requests.
    allow_reuse_port = False

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._open: dict[socket.socket, None] = {}
        self._lock = threading.Lock()
        super().__init__(address, handler)

    def server_bind(self) -> None:
        """Binds, without http.server's lookup of this host's name, which may take long."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answers in a thread; closes the oldest connection if there are too many."""
        with self._lock:
            if len(self._open) >= self.max_connections:
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
