import asyncio
import time
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from grpc import aio

from support.clients import Either, answering
from support.serving import Running
from support.tls import pem_files
from token_authority.v1.issued_token_pb2 import IssuedToken
from token_authority.v1.rtc_pb2 import IssueRtcTokenResponse
from token_authority_client import (
    ApiKeyFile,
    ConfigurationError,
    JwtFile,
    Tls,
    TokenAuthorityClient,
    TokenAuthorityError,
)

KEY = "ta_key_0123456789"
JWT = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.c2ln"
RTC = {"channel": "c", "uid": 7, "role": "publisher"}
TOKEN = IssueRtcTokenResponse(
    issued_token=IssuedToken(token="007…", token_id="t")
).SerializeToString()


class Seen:
    """A server's view of its calls."""

    def __init__(self) -> None:
        self.metadata: list[dict[str, Any]] = []

    async def call(self, _: bytes, context: Any) -> bytes:
        self.metadata.append(dict(context.invocation_metadata()))
        return TOKEN

    @property
    def bearers(self) -> list[str | None]:
        return [metadata.get("authorization") for metadata in self.metadata]


@pytest.mark.parametrize("credential", [KEY, lambda: KEY], ids=["text", "function"])
async def test_a_credential_goes_along_as_a_bearer(client_type: Any, credential: Any) -> None:
    seen = Seen()
    async with answering(seen.call) as target:
        either = Either(client_type(target, credential=credential))
        await either.issue_rtc_token(**RTC)
        await either.close()
    assert seen.bearers == [f"Bearer {KEY}"]


@pytest.mark.parametrize(
    ("kind", "first", "second"), [(ApiKeyFile, KEY, "another-key"), (JwtFile, JWT, f"{JWT}2")]
)
async def test_a_credential_file_is_read_again(
    client_type: Any, tmp_path: Path, kind: Any, first: str, second: str
) -> None:
    seen, path = Seen(), tmp_path / "credential"
    path.write_text(f"{first}\n")
    async with answering(seen.call) as target:
        either = Either(client_type(target, credential=kind(path)))
        await either.issue_rtc_token(**RTC)
        path.write_text(second)
        await pause()
        await either.issue_rtc_token(**RTC)
        # What rotates it has not written the next one yet.
        path.unlink()
        await pause()
        await either.issue_rtc_token(**RTC)
        await either.close()
    assert seen.bearers == [f"Bearer {first}", f"Bearer {second}", f"Bearer {second}"]


async def pause() -> None:
    """Until files are read again."""
    await asyncio.sleep(1.1)


def test_a_function_is_asked_for_each_call_and_its_failure_is_the_callers() -> None:
    def broken() -> str:
        raise KeyError

    with (
        TokenAuthorityClient("127.0.0.1:1", credential=broken) as client,
        pytest.raises(KeyError),
    ):
        client.get_authority_info()


@pytest.mark.parametrize(
    ("content", "kind", "problem"),
    [
        (None, ApiKeyFile, "cannot be read"),
        (b"", ApiKeyFile, "visible ASCII"),
        (b"a b", ApiKeyFile, "visible ASCII"),
        ("schlüssel".encode(), ApiKeyFile, "visible ASCII"),
        (b"not-a-jwt", JwtFile, "does not contain a JWT"),
    ],
)
async def test_a_credential_file_that_cannot_be_used_is_named(
    client_type: Any, tmp_path: Path, content: bytes | None, kind: Any, problem: str
) -> None:
    path = tmp_path / "credential"
    if content is not None:
        path.write_bytes(content)
    either = Either(client_type("127.0.0.1:1", credential=kind(path)))
    with pytest.raises(ConfigurationError, match=problem) as caught:
        await either.issue_rtc_token(**RTC)
    assert str(path) in str(caught.value)
    assert not content or content.decode() not in str(caught.value)
    await either.close()


@pytest.mark.parametrize(
    "options", [{"credential": ApiKeyFile("/dev/zero")}, {"tls": Tls(ca="/dev/zero")}]
)
async def test_a_file_without_an_end_is_not_read_to_it(client_type: Any, options: Any) -> None:
    either = Either(client_type("127.0.0.1:1", **options))
    with pytest.raises(ConfigurationError, match="is larger than 1048576 bytes: check its path"):
        await either.issue_rtc_token(**RTC)
    await either.close()


@pytest.mark.parametrize("path", [None, 7, "a\0b"])
async def test_a_path_that_is_none_is_a_mistake_of_the_configuration(
    client_type: Any, path: Any
) -> None:
    given: list[dict[str, Any]] = [
        {"credential": ApiKeyFile(path)},
        {"tls": Tls(certificate="x", private_key="x", ca=path)},
    ]
    for options in given:
        either = Either(client_type("127.0.0.1:1", **options))
        with pytest.raises(ConfigurationError, match="cannot be read"):
            await either.issue_rtc_token(**RTC)
        await either.close()


@pytest.mark.parametrize("kind", [ApiKeyFile, JwtFile])
@pytest.mark.parametrize("text", [f"tak_{'Ab-_' * 10}123", JWT])
async def test_a_credential_instead_of_its_file_is_not_shown(
    client_type: Any, kind: Any, text: str
) -> None:
    either = Either(client_type("127.0.0.1:1", credential=kind(text)))
    with pytest.raises(ConfigurationError, match="write it to a file, and pass the path") as caught:
        await either.issue_rtc_token(**RTC)
    assert text not in str(caught.value)
    await either.close()


async def test_the_content_of_a_pem_file_instead_of_its_path_is_not_shown(
    client_type: Any, ca: trustme.CA
) -> None:
    issued = ca.issue_cert("client")
    pem = issued.private_key_pem.bytes().decode()
    settings = Tls(certificate=issued.cert_chain_pems[0].bytes(), private_key=pem)
    either = Either(client_type("127.0.0.1:1", tls=settings))
    with pytest.raises(ConfigurationError, match="pass the path, or the content as byte") as caught:
        await either.issue_rtc_token(**RTC)
    assert pem.splitlines()[1] not in str(caught.value)
    await either.close()


@pytest.mark.parametrize("credential", ["", "a key", "schlüssel", "a\nb"])
def test_a_key_that_cannot_be_sent_is_refused_without_showing_it(
    client_type: Any, credential: str
) -> None:
    with pytest.raises(ValueError, match="visible ASCII") as caught:
        client_type("127.0.0.1:1", credential=credential)
    assert not credential or credential not in str(caught.value)


def test_a_key_with_a_line_break_says_what_to_do(client_type: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        client_type("127.0.0.1:1", credential=f"{KEY}\n")
    assert str(caught.value) == (
        "the API key must be visible ASCII characters without spaces, and not empty: "
        "strip the line break, or pass ApiKeyFile(path)"
    )


@pytest.mark.parametrize("credential", [KEY.encode(), Path("key.txt"), 7, {"key": KEY}, False])
@pytest.mark.parametrize("target", ["127.0.0.1:1", "ta.example.com:1"])
def test_a_credential_of_another_type_is_refused_without_showing_it(
    client_type: Any, credential: Any, target: str
) -> None:
    with pytest.raises(ConfigurationError, match="credential has the wrong type") as caught:
        client_type(target, tls=Tls(), credential=credential)
    assert "ApiKeyFile(path)" in caught.value.advice
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("tls", [True, False, "ca.pem", Path("ca.pem"), {"ca": "ca.pem"}])
def test_tls_settings_of_another_type_are_refused(client_type: Any, tls: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"tls must be a Tls"):
        client_type("ta.example.com:1", tls=tls)


@pytest.mark.parametrize("returned", ["", 7, None])
async def test_a_function_that_returns_no_credential_is_told_so(
    client_type: Any, returned: Any
) -> None:
    either = Either(client_type("127.0.0.1:1", credential=lambda: returned))
    with pytest.raises(ConfigurationError, match="the credential that the function returned"):
        await either.issue_rtc_token(**RTC)
    await either.close()


@pytest.mark.parametrize(
    "target", ["10.0.0.1:1", "ta.example.com:1", "xds:///ta", "127.0.0.1:1,10.0.0.1:1"]
)
def test_a_credential_never_travels_in_plaintext(client_type: Any, target: str) -> None:
    with pytest.raises(ValueError, match=r"pass tls=Tls") as caught:
        client_type(target, credential=KEY)
    assert KEY not in str(caught.value)


def test_settings_that_do_not_go_together_are_refused(client_type: Any) -> None:
    with pytest.raises(ValueError, match="both certificate and private_key"):
        Tls(certificate="c.pem")
    with pytest.raises(ValueError, match="tls and credentials were both given"):
        client_type("a:1", tls=Tls(), credentials=grpc.ssl_channel_credentials())
    with pytest.raises(ValueError, match="server_name"):
        client_type("10.0.0.1:1,10.0.0.2:1", tls=Tls())


@pytest.mark.parametrize(
    "name",
    ["", ".", ".a", "a..b", "a" * 64, "a\0b", "a\n", "\u202e", "\udcff", "a b", "a:1", "[::1]", 7],
)
def test_a_server_name_that_tls_cannot_send_is_refused(name: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"server_name \(--server-name\) must be a host"):
        Tls(server_name=name)


@pytest.mark.parametrize("name", ["ta.internal", "localhost", "10.0.0.1", "fd00::1", "a.", "a_b.c"])
def test_a_server_name_may_be_a_name_or_an_address(name: str) -> None:
    assert Tls(server_name=name).server_name == name


def test_tls_settings_do_not_show_the_key() -> None:
    assert "secret" not in repr(Tls(certificate=b"c", private_key=b"secret"))


@pytest.fixture
def ca() -> trustme.CA:
    return trustme.CA()


def server_credentials(ca: trustme.CA, name: str = "localhost", clients: bool = False) -> Any:
    certificate = ca.issue_cert(name)
    pair = (certificate.private_key_pem.bytes(), certificate.cert_chain_pems[0].bytes())
    roots = ca.cert_pem.bytes() if clients else None
    return grpc.ssl_server_credentials([pair], roots, clients)


async def test_tls_from_files_and_from_memory(
    client_type: Any, ca: trustme.CA, tmp_path: Path
) -> None:
    seen = Seen()
    client = ca.issue_cert("client")
    files = pem_files(tmp_path, ca, client)
    memory = Tls(
        ca=ca.cert_pem.bytes(),
        certificate=client.cert_chain_pems[0].bytes(),
        private_key=client.private_key_pem.bytes(),
    )
    async with answering(seen.call, server_credentials(ca, clients=True)) as target:
        for tls in (files, memory):
            either = Either(client_type(target, tls=tls, credential=KEY))
            assert (await either.issue_rtc_token(**RTC)).token == "007…"
            await either.close()
    assert seen.bearers == [f"Bearer {KEY}"] * 2


async def test_a_server_of_another_name_is_reached_by_server_name(
    client_type: Any, ca: trustme.CA
) -> None:
    credentials = server_credentials(ca, "ta.internal")
    async with answering(Seen().call, credentials) as target:
        port = target.rpartition(":")[2]
        tls = Tls(ca=ca.cert_pem.bytes(), server_name="ta.internal")
        for where in (target, f"127.0.0.1:{port},127.0.0.1:{port}"):
            either = Either(client_type(where, tls=tls))
            assert (await either.issue_rtc_token(**RTC)).token == "007…"
            await either.close()


async def test_tls_files_are_read_again(client_type: Any, ca: trustme.CA, tmp_path: Path) -> None:
    other = trustme.CA()
    tls = pem_files(tmp_path, other)
    async with answering(Seen().call, server_credentials(ca)) as target:
        either = Either(client_type(target, tls=tls))
        with pytest.raises(TokenAuthorityError, match="not issued by a trusted CA"):
            await either.issue_rtc_token(**RTC)
        pem_files(tmp_path, ca)
        await pause()
        assert (await either.issue_rtc_token(**RTC)).token == "007…"
        await either.close()


async def test_a_tls_file_that_cannot_be_used_is_named(client_type: Any, tmp_path: Path) -> None:
    (tmp_path / "noise.pem").write_text("noise")
    for name, problem in (("gone.pem", "cannot be read"), ("noise.pem", "is not PEM")):
        either = Either(client_type("localhost:1", tls=Tls(ca=tmp_path / name)))
        with pytest.raises(ConfigurationError, match=f"{name} {problem}|{name}.*{problem}"):
            await either.issue_rtc_token(**RTC)
        await either.close()


async def test_a_request_id_goes_along(client_type: Any) -> None:
    seen = Seen()
    async with answering(seen.call) as target:
        either = Either(client_type(target))
        named = Either(either.client.with_options(request_id="r-1"))
        await named.issue_rtc_token(**RTC)
        await either.issue_rtc_token(**RTC)
        await either.close()
    assert [metadata.get("x-request-id") for metadata in seen.metadata] == ["r-1", None]
    agent = f"token-authority-python/{version('agora-token-authority')} "
    assert seen.metadata[0]["user-agent"].startswith(agent)


@pytest.mark.parametrize("request_id", ["a b", "ü", "x" * 129])
def test_a_request_id_that_cannot_be_sent_is_refused(client_type: Any, request_id: str) -> None:
    client = client_type("127.0.0.1:1")
    with pytest.raises(ValueError, match="request_id"):
        client.with_options(request_id=request_id)


async def test_a_call_may_wait_for_a_server(client_type: Any, free_port: int) -> None:

    either = Either(client_type(f"127.0.0.1:{free_port}", wait_for_ready=True))
    patient = Either(either.client.with_options(timeout=timedelta(seconds=20)))
    call = asyncio.ensure_future(patient.issue_rtc_token(**RTC))
    # Longer than calls that do not wait are tried again.
    await asyncio.sleep(4)
    assert not call.done()
    server = aio.server()
    seen = Seen()
    handler: Any = grpc.unary_unary_rpc_method_handler(seen.call)
    service = "token_authority.v1.TokenService"
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler(service, {"IssueRtcToken": handler})]
    )
    server.add_insecure_port(f"127.0.0.1:{free_port}")
    await server.start()
    assert (await call).token == "007…"
    await either.close()
    await server.stop(None)


async def test_several_addresses_are_used_in_turn(client_type: Any, server: Running) -> None:
    seen = Seen()
    async with answering(seen.call) as other:
        either = Either(client_type(f"{server.address},{other}", project="classroom"))
        started = time.monotonic()
        while not (seen.metadata and server.log) and time.monotonic() < started + 10:
            await either.issue_rtc_token(**RTC)
        await either.close()
    assert seen.metadata
    assert server.log
