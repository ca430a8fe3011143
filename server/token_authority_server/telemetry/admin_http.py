"""`/metrics` and `/health` over HTTP, for Prometheus and for people. Nothing else, no secrets."""

import json
import socket
import socketserver
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from token_authority_server.telemetry.health import DegradedComponents
from token_authority_server.telemetry.metrics import Metrics


class _Server(ThreadingHTTPServer):
    # Of five, which is socketserver's, a few idle clients keep a scrape waiting for a second.
    request_queue_size = 128

    def server_bind(self) -> None:
        """Binds; without http.server's own look at the name of this host, which may take long."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing of clients that hang up: the traceback would stand in the log."""


class _V6Server(_Server):
    address_family = socket.AF_INET6


def _server_class(host: str) -> type[_Server]:
    return _V6Server if host.startswith("[") else _Server


class AdminServer:
    """Answers in threads of its own.

    Args:
        address: `ADDRESS:PORT`.
        metrics: What `/metrics` shows.
        degraded: What `/health` shows.
        is_serving: Whether calls are taken.

    Raises:
        OSError: The address cannot be listened on.
    """

    def __init__(
        self,
        address: str,
        metrics: Metrics,
        degraded: DegradedComponents,
        is_serving: Callable[[], bool],
    ) -> None:
        def health() -> tuple[HTTPStatus, str, bytes]:
            serving = is_serving()
            body = {
                "status": "SERVING" if serving else "NOT_SERVING",
                "degraded": degraded.failing,
            }
            status = HTTPStatus.OK if serving else HTTPStatus.SERVICE_UNAVAILABLE
            return status, "application/json", json.dumps(body).encode() + b"\n"

        def exposition() -> tuple[HTTPStatus, str, bytes]:
            return HTTPStatus.OK, "text/plain; version=0.0.4", metrics.exposition()

        pages = {"/health": health, "/metrics": exposition}

        class Handler(BaseHTTPRequestHandler):
            timeout = 5

            def do_GET(self) -> None:  # http.server's name
                page = pages.get(self.path)
                if page is None:
                    self.send_error(HTTPStatus.NOT_FOUND)
                    return
                status, content_type, body = page()
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # its name
                """Says nothing: scrapes are no news."""

        host, _, port = address.rpartition(":")
        self._server = _server_class(host)((host.strip("[]"), int(port)), Handler)
        self.address = f"{host}:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="admin"
        )
        self._thread.start()

    def close(self) -> None:
        """Stops listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=1)
