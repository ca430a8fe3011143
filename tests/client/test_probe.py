"""Every way in which no server answers, with real listeners: one line that names cause and cure."""

import asyncio
import re
import socket
import ssl
import struct
import sys
import threading
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme

from support.clients import CLIENTS, Either, answering
from support.ports import free_port
from support.serving import running
from support.tcp import tcp_server
from support.waiting import until_await
from token_authority_client import (
    AsyncTokenAuthorityClient,
    DeadlineExceeded,
    PermissionDenied,
    Tls,
    TokenAuthorityError,
    Unauthenticated,
    Unavailable,
)
from token_authority_client._dial import LIMIT_SECONDS
from token_authority_client._probe import SharedDiagnosis, diagnose
from token_authority_client._security import Security
from token_authority_client._target import parse

RTC = {"channel": "c", "uid": 7, "role": "publisher"}
NOW = datetime.now(UTC)
PAST: dict[str, Any] = {"not_before": NOW - timedelta(days=2), "not_after": NOW - timedelta(days=1)}


@pytest.fixture
def client_type() -> Any:
    """What is looked for does not depend on how to wait: one client, unless a test says both."""
    return AsyncTokenAuthorityClient


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


def credentials(
    ca: trustme.CA, *names: str, clients: trustme.CA | None = None, **validity: Any
) -> Any:
    certificate = ca.issue_cert(*(names or ("localhost",)), **validity)
    pair = (certificate.private_key_pem.bytes(), certificate.cert_chain_pems[0].bytes())
    roots = clients.cert_pem.bytes() if clients else None
    return grpc.ssl_server_credentials([pair], roots, clients is not None)


def tls(ca: trustme.CA, client: trustme.LeafCert | None = None) -> Tls:
    if client is None:
        return Tls(ca=ca.cert_pem.bytes())
    return Tls(
        ca=ca.cert_pem.bytes(),
        certificate=client.cert_chain_pems[0].bytes(),
        private_key=client.private_key_pem.bytes(),
    )


async def never(_: bytes, __: Any) -> bytes:
    raise AssertionError


async def failure(client_type: Any, target: str, **options: Any) -> TokenAuthorityError:
    """The error of a call that does not get through; its text is one line."""
    # The client's retries take up to 4 s, and longer on a busy machine.
    either = Either(client_type(target, **{"timeout": timedelta(seconds=10), **options}))
    with pytest.raises(TokenAuthorityError) as caught:
        await either.issue_rtc_token(**RTC)
    await either.close()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300
    assert caught.value.advice in str(caught.value)
    return caught.value


@asynccontextmanager
async def listening(answer: bytes) -> AsyncGenerator[str]:
    """A port where something that is no gRPC answers."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        writer.write(answer)
        await writer.drain()

    async with tcp_server(serve) as address:
        yield address


@contextmanager
def over_tls(
    ca: trustme.CA, *, alpn: tuple[str, ...] = ("h2",), reset: bool = False
) -> Generator[str]:
    """A port with TLS and without gRPC: it resets connections after the handshake, or is silent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(context)
    context.set_alpn_protocols(list(alpn))
    stopped = threading.Event()

    def serve() -> None:
        with ExitStack() as connections:
            while not stopped.is_set():
                with suppress(OSError):
                    accepted = connections.enter_context(listener.accept()[0])
                    accepted.settimeout(2)
                    wrapped = connections.enter_context(
                        context.wrap_socket(accepted, server_side=True)
                    )
                    if reset:
                        # With a linger time of 0, the kernel sends RST.
                        linger = struct.pack("ii", 1, 0)
                        wrapped.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                        wrapped.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"localhost:{listener.getsockname()[1]}"
        stopped.set()
        thread.join()


@contextmanager
def dropping() -> Generator[int]:
    """A port whose queue is full, so that the kernel drops packets, as a firewall does."""
    with socket.socket() as listener, ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@pytest.mark.parametrize("client_type", CLIENTS, ids=["async", "sync"])
async def test_the_server_is_down(client_type: Any, free_port: int) -> None:
    error = await failure(client_type, f"127.0.0.1:{free_port}")
    assert (type(error), error.reason) == (Unavailable, "NOTHING_LISTENS")
    assert f"nothing listens at 127.0.0.1:{free_port}" in str(error)


async def test_the_name_does_not_exist(client_type: Any) -> None:
    error = await failure(client_type, "ta.invalid:50051")
    assert error.reason == "NAME_NOT_FOUND"
    assert "the name ta.invalid has no address" in str(error)
    assert isinstance(error, Unavailable | DeadlineExceeded)


@pytest.mark.parametrize(
    ("exists", "problem"), [(False, "No such file"), (True, "Connection refused")]
)
async def test_nobody_serves_the_socket(
    client_type: Any, tmp_path: Path, exists: bool, problem: str
) -> None:
    path = tmp_path / "ta.sock"
    if exists:
        # asyncio's own server removes its socket from Python 3.13 on.
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
    error = await failure(client_type, f"unix:{path}")
    assert (type(error), error.reason) == (Unavailable, "NOTHING_LISTENS")
    assert problem in str(error)


async def test_tls_to_a_socket_without(client_type: Any, tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        writer.close()

    path = tmp_path / "ta.sock"
    async with await asyncio.start_unix_server(serve, path):
        error = await failure(client_type, f"unix:{path}", tls=Tls())
    assert error.reason == "TLS_NOT_SPOKEN"


async def test_a_name_that_tls_cannot_send_is_not_diagnosed(
    client_type: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with listening(b"HTTP/1.1 200 OK\r\n\r\n") as proxy:
        monkeypatch.setenv("https_proxy", f"http://{proxy}")
        error = await failure(client_type, "a..b:1", tls=Tls())
    assert (type(error), error.reason) == (Unavailable, "")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_firewall_drops_packets(client_type: Any, host: str) -> None:
    with dropping() as port:
        error = await failure(client_type, f"{host}:{port}", timeout=0.3)
    assert (type(error), error.reason) == (DeadlineExceeded, "NO_ROUTE")
    assert str(error) == (
        f"{host}:{port} does not answer (no answer in time): "
        "check host and port, firewalls and network policies"
    )


NOBODY = """
import os, sys
from token_authority_client import TokenAuthorityClient, TokenAuthorityError
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
try:
    TokenAuthorityClient(sys.argv[1], timeout=0.3).issue_chat_token(app=True)
except TokenAuthorityError as error:
    print(error.reason, error)
"""


async def test_the_socket_belongs_to_somebody_else(tmp_path: Path) -> None:
    path = tmp_path / "ta.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        path.chmod(0)
        # Root may open any socket, so a process of another user tries.
        ran = await asyncio.create_subprocess_exec(
            sys.executable, "-c", NOBODY, f"unix:{path}", stdout=asyncio.subprocess.PIPE
        )
        out, _ = await asyncio.wait_for(ran.communicate(), 30)
    reason, _, text = out.decode().partition(" ")
    assert reason == "SOCKET_FORBIDDEN"
    assert text == (
        f"unix:{path} cannot be opened (Permission denied): "
        "run as a user or group with permission to open it and its folders\n"
    )


@pytest.mark.parametrize("alpn", [(), ("http/1.1",)], ids=["none", "http/1.1"])
async def test_an_ingress_without_http2(
    client_type: Any, ca: trustme.CA, alpn: tuple[str, ...]
) -> None:
    with over_tls(ca, alpn=alpn) as target:
        error = await failure(client_type, target, tls=tls(ca), timeout=0.5)
    assert error.reason == "NO_GRPC"
    assert str(error) == (
        f"{target} speaks TLS but not HTTP/2, which gRPC needs: "
        "enable HTTP/2 or gRPC on the ingress or load balancer there, or correct the port"
    )


async def test_silence_after_tls(client_type: Any, ca: trustme.CA) -> None:
    with over_tls(ca) as target:
        error = await failure(client_type, target, tls=tls(ca), timeout=0.5)
    assert (type(error), error.reason) == (DeadlineExceeded, "NO_ANSWER")
    assert str(error) == (
        f"{target} accepts the TLS handshake, but then does not answer: check the port, that the "
        "server is not overloaded, and that a load balancer there forwards HTTP/2 to the token "
        "authority"
    )


async def test_silence_without_tls(client_type: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        target = f"127.0.0.1:{listener.getsockname()[1]}"
        error = await failure(client_type, target, timeout=0.5)
    assert (type(error), error.reason) == (DeadlineExceeded, "NO_ANSWER")
    assert str(error).startswith(f"{target} accepts the connection, but then does not answer: ")


@pytest.mark.parametrize("certificate", [False, True], ids=["without", "with"])
async def test_a_reset_after_tls(client_type: Any, ca: trustme.CA, certificate: bool) -> None:
    settings = tls(ca, ca.issue_cert("client") if certificate else None)
    with over_tls(ca, reset=True) as target:
        error = await failure(client_type, target, tls=settings, timeout=0.5)
    assert isinstance(error, Unauthenticated)
    assert str(error) == (
        f"{target} closes the connection after the TLS handshake, without an alert: "
        + (
            "check that the client certificate has not expired and the server trusts its CA, "
            "and that a load balancer there reaches the token authority"
            if certificate
            else "if it requires a client certificate, pass certificate and private_key (--cert, "
            "--key); otherwise check that a load balancer there reaches the token authority"
        )
    )


async def test_the_certificate_is_for_another_name(client_type: Any, ca: trustme.CA) -> None:
    async with answering(never, credentials(ca, "ta.example.com")) as target:
        error = await failure(client_type, target, tls=tls(ca))
    assert (type(error), error.reason) == (Unavailable, "TLS_NAME_MISMATCH")
    assert f"the certificate of {target} is not for localhost" in str(error)


@pytest.mark.parametrize("ours", [True, False], ids=["private", "public"])
async def test_the_ca_is_not_trusted(client_type: Any, ca: trustme.CA, ours: bool) -> None:
    settings = tls(trustme.CA()) if ours else Tls()
    async with answering(never, credentials(ca)) as target:
        error = await failure(client_type, target, tls=settings)
    assert (type(error), error.reason) == (Unavailable, "TLS_UNKNOWN_CA")
    assert ("the CAs in ca" if ours else "trusted: public CAs") in str(error)


async def test_the_certificate_of_the_server_has_expired(client_type: Any, ca: trustme.CA) -> None:
    async with answering(never, credentials(ca, **PAST)) as target:
        error = await failure(client_type, target, tls=tls(ca))
    assert (type(error), error.reason) == (Unavailable, "TLS_CERTIFICATE_EXPIRED")


@pytest.mark.parametrize("client_type", CLIENTS, ids=["async", "sync"])
async def test_the_certificate_of_the_client_has_expired(client_type: Any, ca: trustme.CA) -> None:
    client = ca.issue_cert("client", **PAST)
    async with answering(never, credentials(ca, clients=ca)) as target:
        error = await failure(client_type, target, tls=tls(ca, client))
    assert (type(error), error.reason) == (Unauthenticated, "CLIENT_CERTIFICATE_REFUSED")
    assert "check that the client certificate has not expired" in str(error)


async def test_the_certificate_of_the_client_is_from_another_ca(
    client_type: Any, ca: trustme.CA
) -> None:
    client = trustme.CA().issue_cert("client")
    async with answering(never, credentials(ca, clients=ca)) as target:
        error = await failure(client_type, target, tls=tls(ca, client))
    assert (type(error), error.reason) == (Unauthenticated, "CLIENT_CERTIFICATE_REFUSED")
    assert "the server trusts its CA" in str(error)


async def test_the_client_has_no_certificate(client_type: Any, ca: trustme.CA) -> None:
    async with answering(never, credentials(ca, clients=ca)) as target:
        error = await failure(client_type, target, tls=tls(ca))
    assert (type(error), error.reason) == (Unauthenticated, "CLIENT_CERTIFICATE_REQUIRED")
    assert "pass certificate and private_key" in str(error)


async def test_the_key_is_not_the_certificates(client_type: Any, ca: trustme.CA) -> None:
    one, other = ca.issue_cert("one"), ca.issue_cert("other")
    settings = Tls(
        ca=ca.cert_pem.bytes(),
        certificate=one.cert_chain_pems[0].bytes(),
        private_key=other.private_key_pem.bytes(),
    )
    async with answering(never, credentials(ca, clients=ca)) as target:
        error = await failure(client_type, target, tls=settings)
    assert error.reason == "CLIENT_CERTIFICATE_UNUSABLE"


async def test_the_ca_is_no_certificate(client_type: Any, ca: trustme.CA) -> None:
    settings = Tls(ca=b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    async with answering(never, credentials(ca)) as target:
        error = await failure(client_type, target, tls=settings)
    assert error.reason == "TLS_CA_UNUSABLE"


async def test_plaintext_to_a_port_with_tls(client_type: Any, ca: trustme.CA) -> None:
    for server in (credentials(ca), credentials(ca, clients=ca)):
        async with answering(never, server) as target:
            error = await failure(client_type, target)
        assert error.reason == "TLS_REQUIRED"
        assert f"{target} requires TLS" in str(error)
        assert isinstance(error, Unavailable | DeadlineExceeded)


@pytest.mark.parametrize("grpcs", [False, True], ids=["ours", "grpcs"])
async def test_tls_to_a_port_without(client_type: Any, ca: trustme.CA, grpcs: bool) -> None:
    secure = {"credentials": grpc.ssl_channel_credentials()} if grpcs else {"tls": tls(ca)}
    async with answering(never) as target:
        error = await failure(client_type, target, **secure)
    assert error.reason == "TLS_NOT_SPOKEN"
    assert f"{target} does not speak TLS" in str(error)
    assert isinstance(error, Unavailable | DeadlineExceeded)


async def test_a_server_that_closes_the_connection_does_not_speak_tls(
    client_type: Any, ca: trustme.CA
) -> None:
    async with listening(b"") as target:
        error = await failure(client_type, target, tls=tls(ca))
    assert error.reason == "TLS_NOT_SPOKEN"


async def test_a_web_server_is_not_grpc(client_type: Any) -> None:
    async with listening(b"HTTP/1.1 400 Bad Request\r\n\r\n") as target:
        error = await failure(client_type, target)
    assert error.reason == "NO_GRPC"


async def test_calls_that_wait_for_a_server_are_told_what_is_in_the_way(
    client_type: Any, ca: trustme.CA
) -> None:
    async with answering(never, credentials(ca, "ta.example.com")) as target:
        error = await failure(
            client_type,
            target,
            tls=tls(ca),
            wait_for_ready=True,
            timeout=timedelta(milliseconds=500),
        )
    assert (type(error), error.reason) == (DeadlineExceeded, "TLS_NAME_MISMATCH")


async def test_a_refused_key_is_unauthenticated(client_type: Any) -> None:
    key = "ta_key_0123456789"

    async def refuse(_: bytes, context: Any) -> bytes:
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, "no such key")
        return b""

    async with answering(refuse) as target:
        error = await failure(client_type, target, credential=key)
    assert isinstance(error, Unauthenticated)
    assert "check the API key" in str(error)
    assert key not in f"{error}{error!r}{error.__dict__}"


async def test_a_proxy_that_forbids_is_told_from_a_server(client_type: Any) -> None:
    async def refuse(_: bytes, context: Any) -> bytes:
        await context.abort(grpc.StatusCode.PERMISSION_DENIED, "RBAC: access denied")
        return b""

    async with answering(refuse) as target:
        error = await failure(client_type, target)
    assert isinstance(error, PermissionDenied)
    assert "a token authority did not send this" in str(error)


@pytest.mark.parametrize("client_type", CLIENTS, ids=["async", "sync"])
async def test_a_deadline_says_whom_it_waited_for(client_type: Any) -> None:
    async def slow(_: bytes, __: Any) -> bytes:
        await asyncio.sleep(30)
        return b""

    async with answering(slow) as target:
        error = await failure(client_type, target, timeout=timedelta(milliseconds=300))
    assert isinstance(error, DeadlineExceeded)
    assert f"check that {target} is reachable and not overloaded, or allow more time" in str(error)


async def test_a_server_that_is_well_is_not_in_the_way(
    ca: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It answers; on a busy machine late.
    monkeypatch.setattr("token_authority_client._probe.LIMIT_SECONDS", 40 * LIMIT_SECONDS)
    client = ca.issue_cert("client")
    for server, settings in (
        (None, None),
        (credentials(ca), tls(ca)),
        (credentials(ca, clients=ca), tls(ca, client)),
    ):
        async with answering(never, server) as address:
            target = parse(address)
            security = Security(target, tls=settings, credential=None, credentials=None)
            await asyncio.to_thread(security.read)
            assert await asyncio.to_thread(diagnose, target, security) is None


async def test_a_slow_name_service_or_machine_does_not_hide_the_cause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    find = socket.getaddrinfo

    def slow(*arguments: Any, **options: Any) -> Any:
        # It is asked twice: for the addresses, and for the connection.
        time.sleep(LIMIT_SECONDS * 0.6)
        return find(*arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    target = parse(f"localhost:{free_port()}")
    security = Security(target, tls=None, credential=None, credentials=None)
    diagnosis = await asyncio.to_thread(diagnose, target, security)
    assert diagnosis is not None
    assert diagnosis.reason == "NOTHING_LISTENS"


@pytest.mark.parametrize("client_type", CLIENTS, ids=["async", "sync"])
async def test_the_search_takes_a_second_at_most_and_is_shared(client_type: Any) -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    target = f"127.0.0.1:{listening.getsockname()[1]}"
    either = Either(client_type(target, timeout=timedelta(milliseconds=100)))
    loop = asyncio.get_running_loop()
    started = loop.time()
    calls = [either.issue_rtc_token(**RTC) for _ in range(4)]
    errors = await asyncio.gather(*calls, return_exceptions=True)
    assert loop.time() - started < 2 * LIMIT_SECONDS
    assert {type(error) for error in errors} == {DeadlineExceeded}
    await either.close()
    listening.close()


async def test_a_server_that_has_returned_is_not_reported_as_down() -> None:
    port = free_port()
    target = parse(f"127.0.0.1:{port}")
    security = Security(target, tls=None, credential=None, credentials=None)
    shared = SharedDiagnosis(target, security)
    diagnosis = await asyncio.to_thread(shared.find)
    assert diagnosis is not None
    assert diagnosis.reason == "NOTHING_LISTENS"
    async with running(listen=target.text):

        async def is_forgotten() -> bool:
            return await asyncio.to_thread(shared.find) is None

        # The diagnosis is used again for as long as it took.
        await until_await(is_forgotten)


async def test_a_slow_diagnosis_is_forgotten_when_a_call_is_answered() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        target = parse(f"127.0.0.1:{silent.getsockname()[1]}")
        security = Security(target, tls=None, credential=None, credentials=None)
        shared = SharedDiagnosis(target, security)
        first = await asyncio.to_thread(shared.find)
        assert await asyncio.to_thread(shared.find) is first
        shared.forget()
        assert await asyncio.to_thread(shared.find) is not first


async def test_a_replica_that_is_down_is_not_the_cause_if_another_can_be_reached() -> None:
    async with running() as server:
        for addresses in (
            f"127.0.0.1:{free_port()},{server.address}",
            f"{server.address},127.0.0.1:{free_port()}",
        ):
            target = parse(addresses)
            security = Security(target, tls=None, credential=None, credentials=None)
            assert await asyncio.to_thread(diagnose, target, security) is None
    diagnosis = await asyncio.to_thread(diagnose, target, security)
    assert diagnosis is not None
    assert diagnosis.reason == "NOTHING_LISTENS"


def untried(source: str, tests: str) -> set[str]:
    """Returns the reasons that a source diagnoses and no assertion of some tests expects."""
    diagnosed = re.findall(r'Diagnosed\(\s*"([A-Z_]+)",', source)
    asserted = re.findall(r'\breason\)? == (?:\(\w+, )?"([A-Z_]+)"', tests)
    return set(diagnosed) - set(asserted)


def test_every_diagnosis_is_tried() -> None:
    package = Path(__file__).parents[2] / "client/token_authority_client"
    modules = ("_dial", "_probe", "_diagnosis", "_tls_context")
    source = "".join([(package / f"{name}.py").read_text() for name in modules])
    tests = "".join([path.read_text() for path in Path(__file__).parent.glob("test_pro*.py")])
    # Handshakes that fail for reasons without a name yet.
    assert untried(source, tests) == {"TLS_FAILED"}


def test_a_diagnosis_that_is_not_tried_is_found() -> None:
    source = 'Diagnosed("ONE", …) Diagnosed(\n "TWO", …) Diagnosed("THREE", …) Diagnosed("FOUR", …)'
    tests = 'error.reason == "ONE"\n(type(error), error.reason) == (Unavailable, "TWO")\nx("THREE")'
    assert untried(source, tests) == {"THREE", "FOUR"}
