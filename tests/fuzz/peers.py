"""Targets that are bytes on a connection: HTTP requests, and answers of servers and proxies."""

import asyncio
import contextlib
import io
import re
import socket
import threading
import urllib.request
from collections.abc import Mapping
from functools import partial
from http.server import HTTPServer
from typing import Final, NoReturn

from google.protobuf.message import Message
from grpc import StatusCode, aio
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest

from fuzz.mutating import Chance, mutated
from fuzz.outcomes import Target, check_printed, check_shown
from support.jwks import Signer, key_set
from support.serving import Running, running
from token_authority_cli.inspect_page import PageServer
from token_authority_client import TokenAuthorityError
from token_authority_client._diagnosis import Diagnosed
from token_authority_client._dial import Route
from token_authority_client._probe import greet
from token_authority_client._proxy import Proxy
from token_authority_client._security import Security
from token_authority_client._target import Endpoint, parse
from token_authority_server.identity.jwks_fetch import JwksError, JwksRequest, Location
from token_authority_server.telemetry.admin_http import AdminServer, health_pages, metrics_pages
from token_authority_server.telemetry.health import DegradedComponents
from token_authority_server.telemetry.log import make_logger
from token_authority_server.telemetry.metrics import Metrics

_KEY_SET: Final = key_set(Signer("ES256", "ES256"))
_REQUESTS: Final = (
    b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\nAccept-Encoding: gzip\r\n\r\n",
    b"GET /readyz HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /livez HTTP/1.0\r\n\r\n",
    b"GET /health\r\n",
    b"POST /livez HTTP/1.1\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
    b"HEAD /livez HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n",
    b"GET /livez HTTP/1.1\r\n" + b"X: 1\r\n" * 120 + b"\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
)
_ANSWERS: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
    % (len(_KEY_SET), _KEY_SET),
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"
    % (len(_KEY_SET), _KEY_SET),
    b"HTTP/1.0 302 Found\r\nLocation: http://127.0.0.1/\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 120 + b"\r\n",
)
_GREETINGS: Final = (
    b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n\0\0\6\4\0\0\0\0\0\0\5\0\0\x40\0",
    b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
    b"\0\0\6\4\0\0\0\0\0\0\5\0\0\x40\0",
    b"\x15\3\1\0\2\2\x28",
    b"SSH-2.0-OpenSSH_9.2\r\n",
)

_PUBLIC: Final[dict[str, Message]] = {
    "/grpc.health.v1.Health/Check": HealthCheckRequest(service="token_authority.v1.TokenService"),
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": ServerReflectionRequest(
        file_containing_symbol="token_authority.v1.TokenService"
    ),
}
_LOOP: Final = asyncio.new_event_loop()
_OPEN: Final = contextlib.AsyncExitStack()


class _Peer:
    """Answers every connection of a free port with the same bytes, whatever it is sent."""

    def __init__(self) -> None:
        self.answer = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            # In a thread: a probe opens a second connection before it closes the first.
            threading.Thread(target=self._answer, args=[connection], daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        # It may be gone already.
        with connection, contextlib.suppress(OSError):
            connection.settimeout(1)
            connection.recv(65_536)
            connection.sendall(self.answer)
            connection.shutdown(socket.SHUT_WR)
            # What is unread at the end would reset the connection.
            while connection.recv(65_536):
                pass


def targets() -> list[Target]:
    """Returns the targets."""
    peer = _Peer()
    metrics = Metrics()
    metrics.refused('a"b\nc', "GRANT_MISSING")
    degraded = DegradedComponents(make_logger("json", "debug", io.StringIO()), metrics)
    pages = health_pages(degraded, lambda: True, lambda: True)
    admin = AdminServer("127.0.0.1:0", {**pages, **metrics_pages(metrics)})
    page = PageServer(_refuse_form, "")
    page.server_close()
    return [
        Target("page request", partial(mutated, _page_requests(page)), partial(_handle, page), 20),
        Target("admin request", partial(mutated, _REQUESTS), partial(_handle, admin._server), 60),
        Target("admin connection", partial(mutated, _REQUESTS), partial(_connect, admin), 4),
        Target("answer of a JWKS server", partial(mutated, _ANSWERS), partial(_fetch, peer), 10),
        Target("health and reflection", _public, partial(_ask, _server()), 6),
        Target("greeting of a server or proxy", _greeting, partial(_greet, peer), 8),
    ]


def _page_requests(page: PageServer) -> list[bytes]:
    """Returns what a browser sends to the page that inspects tokens."""
    head = f"{page.path} HTTP/1.1\r\nHost: {page.authority}\r\n"
    post = f"POST {head}Origin: http://{page.authority}\r\nContent-Type: application/json\r\n"
    form = '{"token": "007eJx", "channel": "lesson", "uid": "7"}'
    return [
        f"GET {head}\r\n".encode(),
        f"{post}Sec-Fetch-Site: same-origin\r\nContent-Length: {len(form)}\r\n\r\n{form}".encode(),
        f"{post}Content-Length: 40000\r\n\r\n{'[' * 40_000}".encode(),
        f"{post}Content-Length: 2000000\r\n\r\n{form}".encode(),
    ]


def _refuse_form(form: Mapping[str, str]) -> NoReturn:
    raise TokenAuthorityError(f"{len(form)} options")


def _handle(server: HTTPServer, data: bytes) -> str:
    """Lets a server's handler answer, in this thread: the server itself hides exceptions."""
    client, accepted = socket.socketpair()
    with client, accepted:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        server.RequestHandlerClass(accepted, ("127.0.0.1", 1), server)
        accepted.shutdown(socket.SHUT_WR)
        return _status(_read(client))


def _connect(admin: AdminServer, data: bytes) -> str:
    """Sends to the listener; asks for a page on another connection if there is no answer."""
    host, _, port = admin.address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), 10) as client:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            answer = _read(client)
    except OSError:
        # Refused at its beginning, while the rest was on its way.
        answer = b""
    if not answer:
        with urllib.request.urlopen(f"http://{admin.address}/livez") as page:
            assert page.read() == b"ok\n"
    return _status(answer)


def _read(client: socket.socket) -> bytes:
    return b"".join(iter(lambda: client.recv(65_536), b""))


def _status(answer: bytes) -> str:
    check_shown(answer.decode("latin-1"), 200_000)
    if not answer.startswith(b"HTTP/"):
        # HTTP/0.9 has no head.
        assert answer[:1] in (b"", b"o", b"{", b"#", b"<")
        return "body alone" if answer else "nothing"
    head = answer.partition(b"\r\n\r\n")[0].decode("latin-1")
    # Not http.server's own, which shows Python's version.
    assert set(re.findall(r"\r\nServer: ([^\r]*)", head)) <= {"token-authority"}
    return head.split()[1]


def _fetch(peer: _Peer, data: bytes) -> str:
    peer.answer = data
    try:
        JwksRequest(Location(f"http://127.0.0.1:{peer.port}/keys?key=hidden")).send()
    except JwksError as error:
        check_printed(str(error), 300)
        assert "hidden" not in str(error)
        return "refused"
    return "fetched"


def _greeting(chance: Chance) -> tuple[bool, bytes]:
    return chance.random() < 0.5, mutated(_GREETINGS, chance)


def _greet(peer: _Peer, given: tuple[bool, bytes]) -> str:
    through_proxy, peer.answer = given
    endpoint = Endpoint("127.0.0.1", peer.port)
    proxy = Proxy("https_proxy", "127.0.0.1", peer.port, "user:hidden") if through_proxy else None
    target = parse(f"127.0.0.1:{peer.port}")
    security = Security(target, tls=None, credential=None, credentials=None)
    try:
        greet(Route(endpoint, proxy), security)
    except Diagnosed as diagnosed:
        check_printed(str(diagnosed.diagnosis), 300)
        assert "hidden" not in str(diagnosed.diagnosis)
        return diagnosed.diagnosis.reason
    except OSError:
        return "no diagnosis"
    return "HTTP/2"


def _server() -> Running:
    """Starts a server that serves until this process ends."""
    return _LOOP.run_until_complete(_OPEN.enter_async_context(running(with_reflection=True)))


def _public(chance: Chance) -> tuple[str, bytes]:
    path = chance.choice(list(_PUBLIC))
    return path, mutated([_PUBLIC[path].SerializeToString()], chance)


def _ask(server: Running, given: tuple[str, bytes]) -> str:
    path, data = given

    async def answers() -> list[bytes]:
        call = server.channel.stream_stream(path)(iter([data]), timeout=10)
        return [answer async for answer in call]

    try:
        found = _LOOP.run_until_complete(answers())
    except aio.AioRpcError as error:
        check_printed(f"{error.details()}", 1000)
        assert error.code() in {StatusCode.INVALID_ARGUMENT, StatusCode.NOT_FOUND}, error
        return error.code().name
    finally:
        check_shown(server.output.getvalue())
        server.output.seek(0)
        server.output.truncate()
    check_shown(b"".join(found).decode("latin-1"), 200_000)
    return "answered"
