"""The admin listeners: liveness, readiness and metrics over HTTP, for Kubernetes and Prometheus.

No page shows a secret. `/metrics` has the names of callers and projects as labels.
"""

import json
import socket
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any, Final

from token_authority_server.telemetry.bounded_http import BoundedHttpServer
from token_authority_server.telemetry.health import DegradedComponents
from token_authority_server.telemetry.metrics import Metrics

MAX_CONNECTIONS: Final = 128
"""Open connections of a listener. One more closes the oldest, so that probes always get in."""

Page = Callable[[], tuple[HTTPStatus, str, bytes]]


class _Server(BoundedHttpServer):
    max_connections = MAX_CONNECTIONS

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignores clients that hang up: the traceback would be in the log."""


class _V6Server(_Server):
    address_family = socket.AF_INET6


class AdminServer:
    """Answers GET requests in background threads.

    Args:
        address: `ADDRESS:PORT`.
        pages: What each path answers.

    Raises:
        OSError: The address cannot be listened on.
    """

    def __init__(self, address: str, pages: Mapping[str, Page]) -> None:
        host, _, port = address.rpartition(":")
        server_class = _V6Server if host.startswith("[") else _Server
        self._server = server_class((host.strip("[]"), int(port)), _handler(pages))
        self.address = f"{host}:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.1},
            name="admin",
            daemon=True,
        )
        self._thread.start()

    def close(self) -> None:
        """Stops listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=1)


def health_pages(
    degraded: DegradedComponents, is_serving: Callable[[], bool], is_alive: Callable[[], bool]
) -> dict[str, Page]:
    """Returns `/livez`, `/readyz` and its alias `/health`.

    Args:
        degraded: What is wrong.
        is_serving: Whether the server has started and is not draining.
        is_alive: Whether the event loop turns.
    """

    def live() -> tuple[HTTPStatus, str, bytes]:
        if is_alive():
            return HTTPStatus.OK, "text/plain", b"ok\n"
        return HTTPStatus.SERVICE_UNAVAILABLE, "text/plain", b"the event loop does not turn\n"

    def ready() -> tuple[HTTPStatus, str, bytes]:
        not_ready = sorted(degraded.not_ready)
        if not is_serving():
            not_ready.append("draining")
        body: dict[str, Any] = {
            "status": "NOT_SERVING" if not_ready else "SERVING",
            "degraded": degraded.failing,
        }
        if not_ready:
            body["not_ready"] = not_ready
        status = HTTPStatus.SERVICE_UNAVAILABLE if not_ready else HTTPStatus.OK
        return status, "application/json", json.dumps(body).encode() + b"\n"

    return {"/livez": live, "/readyz": ready, "/health": ready}


def metrics_pages(metrics: Metrics) -> dict[str, Page]:
    """Returns `/metrics`."""
    return {"/metrics": lambda: (HTTPStatus.OK, "text/plain; version=0.0.4", metrics.exposition())}


def _handler(pages: Mapping[str, Page]) -> type[BaseHTTPRequestHandler]:
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

        def version_string(self) -> str:
            """Returns the Server header, without Python's version."""
            return "token-authority"

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # its name
            """Logs nothing: scrapes and probes are no news."""

    return Handler
