import asyncio
import contextlib
import io
import json
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.live import BY_PLACE, PROJECT, SERVER, Live, live
from support.waiting import until, until_await
from token_authority_server.telemetry.admin_http import (
    MAX_CONNECTIONS,
    AdminServer,
    health_pages,
    metrics_pages,
)
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
        self.alive = True
        pages = health_pages(self.degraded, lambda: self.serving, lambda: self.alive)
        self.server = AdminServer(address, {**pages, **metrics_pages(self.metrics)})

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


@pytest.mark.parametrize("path", ["/readyz", "/health"])
def test_readiness_has_the_faults_and_those_that_count(admin: Admin, path: str) -> None:
    def ready() -> tuple[str, Any]:
        head, _, body = admin.get(f"GET {path}").partition("\r\n\r\n")
        return head.split()[1], json.loads(body)

    assert ready() == ("200", {"status": "SERVING", "degraded": {}})
    admin.degraded.fail("limits", "Redis is away")
    degraded = {"limits": "Redis is away"}
    assert ready() == ("200", {"status": "SERVING", "degraded": degraded})
    admin.degraded.fail("audit", "No space left", not_ready=True)
    degraded["audit"] = "No space left"
    assert ready() == (
        "503",
        {"status": "NOT_SERVING", "not_ready": ["audit"], "degraded": degraded},
    )
    assert "token_authority_ready 0.0" in admin.get("GET /metrics")
    admin.degraded.recover("audit")
    assert ready()[0] == "200"
    assert "token_authority_ready 1.0" in admin.get("GET /metrics")
    admin.serving = False
    assert ready()[1]["not_ready"] == ["draining"]


def test_liveness_is_that_of_the_event_loop(admin: Admin) -> None:
    admin.serving = False
    admin.degraded.fail("audit", "No space left", not_ready=True)
    assert " 200 " in admin.get("GET /livez").splitlines()[0]
    admin.alive = False
    assert " 503 " in admin.get("GET /livez").splitlines()[0]


def test_python_and_its_version_are_not_shown(admin: Admin) -> None:
    for path in ("/metrics", "/nothing"):
        answer = admin.get(f"GET {path}")
        assert "Server: token-authority\r\n" in answer
        assert "Python" not in answer


async def test_connections_are_bounded_and_the_newest_is_answered(admin: Admin) -> None:
    host, _, port = admin.server.address.rpartition(":")
    with contextlib.ExitStack() as opened:
        idle = [
            opened.enter_context(socket.create_connection((host.strip("[]"), int(port)), 10))
            for _ in range(MAX_CONNECTIONS + 20)
        ]
        answer = await asyncio.to_thread(admin.get, "GET /livez")
        assert " 200 " in answer.splitlines()[0]
        # The oldest were closed.
        assert all(client.recv(1) == b"" for client in idle[:20])

        def threads() -> int:
            return sum("process_request" in thread.name for thread in threading.enumerate())

        await until(lambda: threads() <= MAX_CONNECTIONS)


def test_metrics_are_in_the_format_of_prometheus(admin: Admin) -> None:
    admin.metrics.refused('a"b\nc', "GRANT_MISSING")
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
