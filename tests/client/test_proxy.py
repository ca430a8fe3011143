"""Calls through an HTTP proxy from the environment: errors name the proxy when it is the cause.

The proxy and the server are on this machine; targets have other names, because the client
connects to loopback addresses without a proxy.
"""

import asyncio
import base64
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import trustme

from support.certificates import server_identity
from support.clients import CLIENTS, Either
from support.serving import running
from support.tcp import tcp_server
from token_authority_client import (
    AsyncTokenAuthorityClient,
    ConnectionCheck,
    DeadlineExceeded,
    Tls,
    TokenAuthorityError,
    Unavailable,
)
from token_authority_client._proxy import Proxy, proxy_to
from token_authority_client._target import parse

TARGET = "ta.example.org:50051"
USER_INFO = "meeting:s3cret"


class FakeProxy:
    """An HTTP proxy that connects every request to one port, or refuses with a status line."""

    def __init__(self, answer: str, port: int) -> None:
        self._answer = answer
        self._port = port
        self.requests: list[str] = []
        self.address = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.requests.append((await reader.readuntil(b"\r\n\r\n")).decode())
            writer.write(self._answer.encode())
            await writer.drain()
            if self._port:
                await self._forward(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
        copies = (_copy(reader, far_writer), _copy(far_reader, writer))
        try:
            await asyncio.gather(*copies, return_exceptions=True)
        finally:
            far_writer.close()
            with suppress(OSError):
                await far_writer.wait_closed()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


@asynccontextmanager
async def proxy(
    answer: str = "HTTP/1.1 200 OK\r\n\r\n", port: int = 0
) -> AsyncGenerator[FakeProxy]:
    fake = FakeProxy(answer, port)
    async with tcp_server(fake.serve) as fake.address:
        yield fake


@pytest.fixture(autouse=True)
def no_other_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("grpc_proxy", "https_proxy", "http_proxy", "no_grpc_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


async def failure(
    target: str = TARGET, client_type: Any = AsyncTokenAuthorityClient, **options: Any
) -> TokenAuthorityError:
    # Shorter than the retries, which would find the same.
    either = Either(client_type(target, **{"timeout": 0.5, **options}))
    with pytest.raises(TokenAuthorityError) as caught:
        await either.issue_rtc_token(channel="c", uid=7, role="publisher", project="classroom")
    await either.close()
    error = caught.value
    assert isinstance(error, Unavailable | DeadlineExceeded)
    assert "s3cret" not in f"{error!r}{error.__dict__}"
    assert str(error).endswith(error.advice)
    return error


@pytest.mark.parametrize("client_type", CLIENTS, ids=["async", "sync"])
async def test_no_proxy_listens(
    client_type: Any, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", f"http://{USER_INFO}@127.0.0.1:{free_port}")
    # The client's retries take up to 4 s, and longer on a busy machine.
    error = await failure(client_type=client_type, timeout=10)
    assert type(error) is Unavailable
    assert error.reason == "PROXY_UNREACHABLE"
    assert str(error) == (
        f"the proxy 127.0.0.1:{free_port} (https_proxy) cannot be reached (Connection refused): "
        "correct https_proxy, or add ta.example.org to no_proxy to connect without a proxy"
    )


async def test_the_name_of_the_proxy_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.invalid:3128")
    error = await failure()
    assert error.reason == "PROXY_UNREACHABLE"
    assert str(error).startswith(
        "the proxy proxy.invalid:3128 (http_proxy) cannot be reached (its name has no address): "
    )


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (
            "HTTP/1.1 403 Forbidden\r\n\r\n",
            f"does not connect to {TARGET} (403 Forbidden): allow {TARGET} on the proxy",
        ),
        (
            "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
            "does not accept the user and password in https_proxy (407 Proxy Authentication "
            "Required): write them as http://USER:PASSWORD@HOST:PORT",
        ),
        (
            "HTTP/1.1 502 Bad Gateway\r\n\r\n",
            f"does not connect to {TARGET} (502 Bad Gateway): allow {TARGET} on the proxy",
        ),
        (
            "HTTP/1.1 403 \x1b[2J\tno" + "!" * 200 + "\r\n\r\n",
            f"does not connect to {TARGET} (403 �[2J�no{'!' * 89}): allow {TARGET} on the proxy",
        ),
        ("", "does not answer like an HTTP proxy: correct https_proxy"),
        ("SSH-2.0-OpenSSH_9.2\r\n", "does not answer like an HTTP proxy: correct https_proxy"),
    ],
    ids=["403", "407", "502", "control characters", "closed", "ssh"],
)
async def test_the_proxy_refuses(
    answer: str, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with proxy(answer) as fake:
        monkeypatch.setenv("https_proxy", f"http://{USER_INFO}@{fake.address}")
        error = await failure()
    assert error.reason == "PROXY_REFUSED"
    assert str(error).startswith(f"the proxy {fake.address} (https_proxy) {problem}")
    assert str(error).endswith("or add ta.example.org to no_proxy to connect without a proxy")
    # gRPC and the diagnosis send the same request.
    credential = base64.b64encode(USER_INFO.encode()).decode()
    for request in fake.requests:
        assert request.startswith(f"CONNECT {TARGET} HTTP/1")
        assert f"Proxy-Authorization: Basic {credential}".lower() in request.lower().replace(
            "authorization:basic", "authorization: basic"
        )


@pytest.mark.parametrize("client_type", CLIENTS, ids=["async", "sync"])
async def test_a_proxy_that_works_is_not_blamed(
    client_type: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ca = trustme.CA()
    async with (
        running(identity=server_identity(ca, None, "ta.example.org")) as server,
        proxy(port=int(server.address.rpartition(":")[2])) as fake,
    ):
        monkeypatch.setenv("https_proxy", f"http://{fake.address}")
        trusted = Tls(ca=ca.cert_pem.bytes())
        client = Either(client_type(TARGET, tls=trusted))
        assert (
            await client.issue_rtc_token(channel="c", uid=7, role="publisher", project="classroom")
        ).token
        await client.close()
        check = ConnectionCheck(TARGET, tls=trusted)
        assert await asyncio.to_thread(check.resolve) == "127.0.0.1"
        connected = await asyncio.to_thread(check.connect)
        assert connected == f"{TARGET} through the proxy {fake.address} (https_proxy)"
        assert "ta.example.org" in (await asyncio.to_thread(check.handshake) or "")
        error = await failure(tls=Tls(ca=trustme.CA().cert_pem.bytes()))
        assert error.reason == "TLS_UNKNOWN_CA"


async def test_no_proxy_is_obeyed(monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{free_port}")
    monkeypatch.setenv("no_proxy", ".invalid")
    assert (await failure("ta.invalid:50051")).reason == "NAME_NOT_FOUND"


@pytest.mark.parametrize(
    ("target", "environment", "found"),
    [
        (TARGET, {}, None),
        (TARGET, {"http_proxy": "http://p:1"}, ("http_proxy", "p", 1)),
        (
            TARGET,
            {"https_proxy": "http://q:2", "http_proxy": "http://p:1"},
            ("https_proxy", "q", 2),
        ),
        (TARGET, {"grpc_proxy": "http://g", "https_proxy": "http://q:2"}, ("grpc_proxy", "g", 443)),
        # gRPC uses the first variable that is set, even if it is empty or unusable.
        (TARGET, {"grpc_proxy": "", "https_proxy": "http://q:2"}, None),
        (TARGET, {"https_proxy": "socks5://q:2", "http_proxy": "http://p:1"}, None),
        (TARGET, {"https_proxy": "q:2"}, None),
        (TARGET, {"https_proxy": "http://q:port"}, None),
        (TARGET, {"HTTPS_PROXY": "http://q:2"}, None),
        (TARGET, {"http_proxy": "http://p:1", "no_proxy": "a.org, example.ORG"}, None),
        (TARGET, {"http_proxy": "http://p:1", "no_proxy": "*"}, ("http_proxy", "p", 1)),
        (
            TARGET,
            {"http_proxy": "http://p:1", "no_proxy": "org", "no_grpc_proxy": "com"},
            ("http_proxy", "p", 1),
        ),
        ("10.1.2.3:50051", {"http_proxy": "http://p:1", "no_proxy": "10.0.0.0/8"}, None),
        ("[fd00::1]:50051", {"http_proxy": "http://p:1", "no_proxy": "10.0.0.0/8,fd00::/8"}, None),
        ("127.0.0.1:50051", {"http_proxy": "http://p:1"}, None),
        ("unix:/run/ta.sock", {"http_proxy": "http://p:1"}, None),
    ],
)
def test_the_proxy_is_the_one_that_grpc_uses(
    target: str, environment: dict[str, str], found: tuple[str, str, int] | None
) -> None:
    proxy = proxy_to(parse(target), environment)
    expected = None if found is None else Proxy(*found)
    assert proxy == expected
