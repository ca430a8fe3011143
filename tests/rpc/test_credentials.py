"""TLS and mTLS through the wire: whose certificate opens what, and what changes while it serves."""

import asyncio
import datetime as dt
import socket
import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import grpc
import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID
from grpc import StatusCode, aio

from support import granting
from support.certificates import server_identity
from support.serving import Running, refused, running
from token_authority.v1 import authority_pb2
from token_authority.v1.authority_service_pb2_grpc import AuthorityServiceStub
from token_authority.v1.rtc_pb2 import RTC_ROLE_PUBLISHER, IssueRtcTokenRequest
from token_authority_server.identity.directory import Callers
from token_authority_server.rpc.server_credentials import ServerCertificates

VALID: Final = IssueRtcTokenRequest(channel_name="c", uid=1, role=RTC_ROLE_PUBLISHER)
SPIFFE: Final = "spiffe://example.org/lessons"
CALLERS: Final = granting.callers(
    granting.caller(granting.grant(), name="lessons", identities=[SPIFFE, "dns:lessons.internal"]),
    granting.caller(
        granting.grant(),
        name="chat",
        identities=["dns:chat.internal", granting.API_KEY_IDENTITY],
    ),
)
CA: Final = trustme.CA()
OTHER_CA: Final = trustme.CA()
NOW: Final = dt.datetime.now(dt.UTC)
DAY: Final = dt.timedelta(days=1)


def pair(
    *names: x509.GeneralName,
    ca: trustme.CA = CA,
    start: dt.datetime = NOW - DAY,
    end: dt.datetime = NOW + DAY,
    common_name: str = "lessons",
) -> tuple[bytes, bytes]:
    """A client's key and certificate, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.load_pem_x509_certificate(ca.cert_pem.bytes())
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    signing: Any = load_pem_private_key(ca.private_key_pem.bytes(), None)
    certificate = builder.sign(signing, hashes.SHA256())
    return (
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        certificate.public_bytes(Encoding.PEM),
    )


def uri(text: str) -> x509.GeneralName:
    return x509.UniformResourceIdentifier(text)


def dns(text: str) -> x509.GeneralName:
    return x509.DNSName(text)


def connected(
    client: tuple[bytes, bytes] | None = None, trusts: trustme.CA = CA
) -> Callable[[str], Any]:
    """How a client connects: with its certificate, and whom it trusts."""
    key, certificate = client or (None, None)
    credentials = grpc.ssl_channel_credentials(trusts.cert_pem.bytes(), key, certificate)
    return lambda address: aio.secure_channel(address, credentials)


@asynccontextmanager
async def mutual(
    client: tuple[bytes, bytes] | None, who: Callers = CALLERS
) -> AsyncGenerator[Running]:
    """A server that demands client certificates, and a channel with this one."""
    identity = server_identity(CA, CA)
    async with running(
        who=who, identity=identity, mutual=True, connect=connected(client)
    ) as server:
        yield server


async def whoami(channel: Any, metadata: Any = ()) -> str:
    stub: Any = AuthorityServiceStub(channel)
    request = authority_pb2.GetAuthorityInfoRequest()
    answer = await stub.GetAuthorityInfo(request, metadata=metadata, timeout=10)
    return f"{answer.caller} by {answer.identity}"


NAMES: Final[dict[str, tuple[list[x509.GeneralName], str]]] = {
    "a SPIFFE id": ([uri(SPIFFE)], f"lessons by {SPIFFE}"),
    "a DNS name": ([dns("chat.internal")], "chat by dns:chat.internal"),
    "both of one caller": (
        [uri(SPIFFE), dns("lessons.internal")],
        "lessons by dns:lessons.internal",
    ),
    "one known of many": (
        [dns("a.internal"), dns("chat.internal"), uri("https://chat.internal/")],
        "chat by dns:chat.internal",
    ),
}


@pytest.mark.parametrize("what", NAMES)
async def test_the_names_of_a_certificate_are_a_caller(what: str) -> None:
    names, expected = NAMES[what]
    async with mutual(pair(*names)) as server:
        assert await whoami(server.channel) == expected


STRANGERS: Final[dict[str, list[x509.GeneralName]]] = {
    "a name that is not configured, or not any more": [uri("spiffe://example.org/gone")],
    "names of two callers": [uri(SPIFFE), dns("chat.internal")],
    "a wildcard": [dns("*.internal")],
    "another trust domain": [uri("spiffe://evil.org/lessons")],
    "a longer path": [uri(SPIFFE + "/x")],
    "another case": [uri("spiffe://example.org/Lessons")],
    "two SPIFFE ids": [uri(SPIFFE), uri("spiffe://example.org/other")],
    "a NUL in a name": [dns("chat.internal\0.evil.org")],
    "a NUL in a SPIFFE id": [uri(SPIFFE + "\0.evil.org")],
    "two URIs, one of them a SPIFFE id": [uri(SPIFFE), uri("https://chat.internal/")],
    "a SPIFFE id for a DNS name": [dns("example.org/lessons")],
    "a mail address": [x509.RFC822Name("lessons@chat.internal")],
    "another URI": [uri("https://example.org/lessons")],
    "a common name alone": [],
}


@pytest.mark.parametrize("what", STRANGERS)
@pytest.mark.parametrize("local", ["no local caller", "a local caller"])
async def test_a_certificate_without_a_callers_name_opens_nothing(what: str, local: str) -> None:
    """Not even what anyone on this machine may have: it is a credential, and no caller's."""
    rows = [
        granting.caller(granting.grant(), name="lessons", identities=[SPIFFE]),
        granting.caller(granting.grant(), name="chat", identities=["dns:chat.internal"]),
        granting.caller(granting.grant(), name="here"),
    ]
    who = granting.callers(*rows[: 3 if local == "a local caller" else 2])
    client = pair(*STRANGERS[what], common_name="chat.internal")
    async with mutual(client, who) as server:
        refusal = await refused(server.stub.IssueRtcToken(VALID, timeout=10))
        assert (refusal.code, refusal.reason) == (
            StatusCode.UNAUTHENTICATED,
            "CREDENTIAL_INVALID",
        )


REJECTED: Final = {
    "none": None,
    "expired": pair(uri(SPIFFE), start=NOW - 2 * DAY, end=NOW - DAY),
    "not yet valid": pair(uri(SPIFFE), start=NOW + DAY, end=NOW + 2 * DAY),
    "of another CA": pair(uri(SPIFFE), ca=OTHER_CA),
}


@pytest.mark.parametrize("what", REJECTED)
async def test_a_bad_certificate_does_not_connect(what: str) -> None:
    async with mutual(REJECTED[what]) as server:
        refusal = await refused(server.stub.IssueRtcToken(VALID, timeout=10))
        assert refusal.code is StatusCode.UNAVAILABLE
        # Nor does an API key help: there is no call.
        metadata = (("authorization", f"Bearer {granting.API_KEY}"),)
        refusal = await refused(server.stub.IssueRtcToken(VALID, metadata=metadata, timeout=10))
        assert refusal.code is StatusCode.UNAVAILABLE
        assert not server.log


async def test_a_bearer_decides_where_there_is_a_certificate_too() -> None:
    async with mutual(pair(uri(SPIFFE))) as server:
        metadata = (("authorization", f"Bearer {granting.API_KEY}"),)
        assert (await whoami(server.channel, metadata)).startswith("chat by api-key:")
        refusal = await refused(
            server.stub.IssueRtcToken(VALID, metadata=(("authorization", "Bearer x"),))
        )
        assert refusal.reason == "CREDENTIAL_INVALID"


async def test_a_plain_tls_listener_asks_for_no_certificate_and_heeds_none() -> None:
    identity = server_identity(CA, CA)
    connect = connected(pair(uri(SPIFFE)))
    async with running(who=CALLERS, identity=identity, connect=connect) as server:
        refusal = await refused(server.stub.IssueRtcToken(VALID, timeout=10))
        assert refusal.reason == "CREDENTIAL_MISSING"
        metadata = (("authorization", f"Bearer {granting.API_KEY}"),)
        assert (await whoami(server.channel, metadata)).startswith("chat by api-key:")


async def test_a_client_refuses_a_server_that_it_does_not_trust() -> None:
    connect = connected(trusts=OTHER_CA)
    async with running(who=CALLERS, identity=server_identity(CA), connect=connect) as server:
        refusal = await refused(server.stub.IssueRtcToken(VALID, timeout=10))
        assert refusal.code is StatusCode.UNAVAILABLE


async def test_plaintext_to_a_tls_port_is_refused() -> None:
    async with running(who=CALLERS, identity=server_identity(CA)) as server:
        refusal = await refused(server.stub.IssueRtcToken(VALID, timeout=10))
        assert refusal.code is StatusCode.UNAVAILABLE
        assert not server.log


HUNG_UP: Final = {"EOF", "TLSV1_ALERT_PROTOCOL_VERSION"}


def handshake(address: str, version: ssl.TLSVersion) -> str:
    """Connects with one version of TLS alone; returns what was agreed, or the refusal."""
    context = ssl.create_default_context(cadata=CA.cert_pem.bytes().decode())
    # Else OpenSSL itself would not offer the old ones.
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2"])
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), 10) as plain:
        try:
            with context.wrap_socket(plain, server_hostname="localhost") as secure:
                return secure.version() or ""
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            return "EOF"  # the latter in Python 3.11.2, without a reason
        except ssl.SSLError as error:
            return error.reason


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_tls_is_1_2_at_least() -> None:
    async with running(who=CALLERS, identity=server_identity(CA)) as server:
        answers = {
            version.name: await asyncio.to_thread(handshake, server.address, version)
            for version in (
                ssl.TLSVersion.TLSv1,
                ssl.TLSVersion.TLSv1_1,
                ssl.TLSVersion.TLSv1_2,
                ssl.TLSVersion.TLSv1_3,
            )
        }
    # It was asked, and hung up.
    assert answers.pop("TLSv1") in HUNG_UP
    assert answers.pop("TLSv1_1") in HUNG_UP
    assert answers == {"TLSv1_2": "TLSv1.2", "TLSv1_3": "TLSv1.3"}


async def answers(address: str, connect: Callable[[str], Any]) -> bool:
    """Whether a new connection is taken."""
    async with connect(address) as channel:
        try:
            await whoami(channel)
        except aio.AioRpcError as error:
            if error.code() is not StatusCode.UNAVAILABLE:
                raise
            return False
    return True


async def test_a_new_ca_holds_from_the_next_handshake_on() -> None:
    """Who was in stays in; who comes is held against the new one."""
    client, other = pair(uri(SPIFFE)), pair(uri(SPIFFE), ca=OTHER_CA)
    identity = server_identity(CA, CA)
    certificates = ServerCertificates(identity)
    async with running(
        who=CALLERS,
        certificates=certificates,
        mutual=True,
        connect=connected(client),
    ) as server:
        assert await whoami(server.channel)
        assert not await answers(server.address, connected(other))
        certificates.replace(server_identity(CA, OTHER_CA))
        assert await whoami(server.channel)
        assert not await answers(server.address, connected(client))
        assert await answers(server.address, connected(other))
        # With nobody to trust, nobody is let in.
        certificates.replace(server_identity(CA))
        assert not await answers(server.address, connected(client))
        assert not await answers(server.address, connected(other))
        assert not await answers(server.address, connected())


def in_turn(
    address: str, client: tuple[bytes, bytes], folder: Path, between: Callable[[], None]
) -> list[str]:
    """Connects, and once more with the session of the first time."""
    context = ssl.create_default_context(cadata=CA.cert_pem.bytes().decode())
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2"])
    (folder / "pem").write_bytes(client[0] + client[1])
    context.load_cert_chain(folder / "pem")
    host, _, port = address.rpartition(":")
    session: ssl.SSLSession | None = None
    seen: list[str] = []
    for _ in range(2):
        with socket.create_connection((host, int(port)), 10) as plain:
            try:
                with context.wrap_socket(
                    plain, server_hostname="localhost", session=session
                ) as secure:
                    secure.recv(1)
                    session = secure.session
                    seen.append("resumed" if secure.session_reused else "shown")
            except (ssl.SSLError, ConnectionError):
                seen.append("refused")
        between()
    return seen


async def test_a_session_from_before_does_not_outlive_the_ca(tmp_path: Path) -> None:
    certificates = ServerCertificates(server_identity(CA, CA))
    async with running(who=CALLERS, certificates=certificates, mutual=True) as server:
        client = pair(uri(SPIFFE))
        again = await asyncio.to_thread(in_turn, server.address, client, tmp_path, lambda: None)

        def replace() -> None:
            certificates.replace(server_identity(CA, OTHER_CA))

        seen = await asyncio.to_thread(in_turn, server.address, client, tmp_path, replace)
    assert (again[0], seen) == ("shown", ["shown", "refused"])


async def test_a_connection_does_not_outlive_its_certificate() -> None:
    """Nor does a TLS session, which shows no certificate when it is resumed."""
    end = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=3)
    async with mutual(pair(uri(SPIFFE), end=end)) as server:
        assert await whoami(server.channel)
        left = end - dt.datetime.now(dt.UTC)
        await asyncio.sleep(max(left.total_seconds(), 0) + 1)
        refusal = await refused(server.stub.IssueRtcToken(VALID, timeout=10))
        assert (refusal.code, refusal.reason) == (
            StatusCode.UNAUTHENTICATED,
            "CREDENTIAL_EXPIRED",
        )
