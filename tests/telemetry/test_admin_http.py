import asyncio
import io
import json
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.live import BY_PLACE, PROJECT, SERVER, Live, live
from support.waiting import until_await
from token_authority_server.telemetry.admin_http import AdminServer
from token_authority_server.telemetry.health import DegradedComponents
from token_authority_server.telemetry.log import make_logger
from token_authority_server.telemetry.metrics import Metrics


class Admin:
    """An admin address of a server that serves while `serving`."""

    def __init__(self, address: str) -> None:
        self.serving = True
        self.metrics = Metrics()
        self.degraded = DegradedComponents(
            make_logger("json", "debug", io.StringIO()), self.metrics
        )
        self.server = AdminServer(address, self.metrics, self.degraded, lambda: self.serving)

    def get(self, request: str) -> str:
        """Sends a request line; returns the answer."""
        host, _, port = self.server.address.rpartition(":")
        with socket.create_connection((host.strip("[]"), int(port)), 10) as client:
            client.sendall(f"{request} HTTP/1.0\r\n\r\n".encode("latin-1"))
            return b"".join(iter(lambda: client.recv(65536), b"")).decode()


@pytest.fixture(params=["127.0.0.1:0", "[::1]:0"])
def admin(request: pytest.FixtureRequest) -> Iterator[Admin]:
    admin = Admin(request.param)
    yield admin
    admin.server.close()


def test_health_says_whether_calls_are_taken_and_what_is_wrong(admin: Admin) -> None:
    head, _, body = admin.get("GET /health").partition("\r\n\r\n")
    assert "200 OK" in head
    assert json.loads(body) == {"status": "SERVING", "degraded": {}}
    admin.degraded.fail("limits", "Redis is away")
    admin.serving = False
    head, _, body = admin.get("GET /health").partition("\r\n\r\n")
    assert "503 " in head
    assert json.loads(body) == {"status": "NOT_SERVING", "degraded": {"limits": "Redis is away"}}


def test_metrics_are_in_the_format_of_prometheus(admin: Admin) -> None:
    admin.metrics.refusals.labels('a"b\nc', "GRANT_MISSING").inc()
    answer = admin.get("GET /metrics")
    assert "Content-Type: text/plain; version=0.0.4" in answer
    assert 'token_authority_refusals_total{caller="a\\"b\\nc",reason="GRANT_MISSING"} 1.0' in answer


@pytest.mark.parametrize(
    "request_line",
    ["GET /", "GET /metrics/../health", "GET http://evil.example/metrics", "GET /health?x=\x01"],
)
def test_there_is_nothing_else(admin: Admin, request_line: str) -> None:
    assert " 404 " in admin.get(request_line).splitlines()[0]


@pytest.mark.parametrize("request_line", ["POST /health", "PUT /metrics", "DELETE /", "TRACE /"])
def test_nothing_can_be_changed(admin: Admin, request_line: str) -> None:
    assert " 501 " in admin.get(request_line).splitlines()[0]


def test_an_address_in_use_is_an_os_error(admin: Admin) -> None:
    with pytest.raises(OSError, match="in use"):
        Admin(admin.server.address)


def rudely(server: Live) -> None:
    """Hangs up in the middle of things."""
    host, _, port = server.admin.rpartition(":")
    for data in (b"", b"GET /met", b"GET /metrics HTTP/1.0\r\n\r\n", b"\xff\0\r\n\r\n", b"\n" * 9):
        client = socket.create_connection((host, int(port)), 10)
        client.sendall(data)
        # A reset instead of an end.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()


async def test_rude_clients_leave_no_line_in_the_log(tmp_path: Path) -> None:
    async with live(tmp_path, SERVER + PROJECT + BY_PLACE) as server:
        before = len(server.log)
        for _ in range(20):
            await asyncio.to_thread(rudely, server)
        await until_await(server.health)
        await asyncio.sleep(0.2)
        # Every line of it is JSON: a traceback would not be.
        assert len(server.log) == before


async def test_idle_clients_do_not_keep_others_out(tmp_path: Path) -> None:
    async with live(tmp_path, SERVER + PROJECT + BY_PLACE) as server:
        host, _, port = server.admin.rpartition(":")
        idle = [
            await asyncio.to_thread(socket.create_connection, (host, int(port)), 10)
            for _ in range(50)
        ]
        assert (await server.health())["status"] == "SERVING"
        for client in idle:
            client.close()
