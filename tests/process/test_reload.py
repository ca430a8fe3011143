"""Files are replaced under a live process, which goes on answering."""

import asyncio
import shutil
import socket
import ssl
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Final

import pytest
import trustme
from cryptography import x509
from grpc import StatusCode, aio

from rpc.test_credentials import connected, pair, uri
from support.certificates import server_identity, write_tls
from support.jwks import AUDIENCE, IDENTITY, ISSUER, Signer, key_server, key_set, send
from support.keys import CERTIFICATE, ENCRYPTION_SECRET, OLD_CERTIFICATE
from support.live import BEARER, BY_KEY, BY_PLACE, LOG, PROJECT, SERVER, Live, caller, live
from support.replacing import replace
from support.serving import refused
from support.waiting import until, until_await
from token_authority.v1.rtc_pb2 import RTC_ROLE_PUBLISHER, IssueRtcTokenRequest
from token_authority.v1.token_service_pb2_grpc import TokenServiceStub

VALID: Final = IssueRtcTokenRequest(channel_name="c", uid=1, role=RTC_ROLE_PUBLISHER)
CA: Final = trustme.CA()
OTHER_CA: Final = trustme.CA()
TLS: Final = """
[server.tls]
certificate = "tls.pem"
private_key = "tls.key"
"""
SPIFFE: Final = "spiffe://example.org/lessons"
MUTUAL: Final = (
    SERVER.replace('listen = ["127.0.0.1:0"]', 'listen = []\nmtls_listen = ["127.0.0.1:0"]', 1)
    + TLS
    + 'client_ca = "ca.pem"\n'
    + PROJECT
    + caller(SPIFFE)
)
AUDIT: Final = '[audit]\nfile = "audit.jsonl"\n'
RELOADS: Final = 'token_authority_configuration_reloads_total{outcome="ok"}'
DEGRADED: Final = 'token_authority_degraded{component="configuration"}'


def configure(server: Live, text: str) -> None:
    replace(server.folder / "token-authority.toml", text + LOG)


def stub(channel: Any) -> Any:
    return TokenServiceStub(channel)


async def key_id(channel: Any, metadata: Any = ()) -> str:
    """Issues a token; returns which key signed it."""
    answer = await stub(channel).IssueRtcToken(VALID, metadata=metadata, timeout=10)
    name: str = answer.issued_token.key_id
    return name


def shown(address: str, ca: trustme.CA = CA) -> int:
    """The serial number of the certificate that a new connection is shown."""
    context = ssl.create_default_context(cadata=ca.cert_pem.bytes().decode())
    context.set_alpn_protocols(["h2"])
    host, _, port = address.rpartition(":")
    with (
        socket.create_connection((host, int(port)), 10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        return x509.load_der_x509_certificate(secure.getpeercert(True) or b"").serial_number


def peer_of(server: Live) -> str:
    """The client's address in the last call, by which connections are told apart."""
    peer: str = server.log[-1]["peer"]
    return peer


@asynccontextmanager
async def tls_server(folder: Path) -> AsyncGenerator[Live]:
    write_tls(folder, CA)
    async with live(folder, SERVER + TLS + PROJECT + BY_KEY) as server:
        yield server


async def test_a_new_certificate_is_shown_and_the_old_connection_goes_on(tmp_path: Path) -> None:
    async with tls_server(tmp_path) as server, connected(trusts=CA)(server.address) as channel:
        assert await key_id(channel, BEARER) == "cert-1"
        await until(lambda: server.events("issued"))
        peer = peer_of(server)
        before = await asyncio.to_thread(shown, server.address)
        # Not at once: certificate first, as some programs do. Both are read again with the key.
        identity = server_identity(CA)
        replace(tmp_path / "tls.pem", identity.certificate)
        await until(lambda: server.events("degraded"))
        assert await asyncio.to_thread(shown, server.address) == before
        replace(tmp_path / "tls.key", identity.private_key.reveal())
        await server.reloaded(1)
        assert await asyncio.to_thread(shown, server.address) != before
        assert await key_id(channel, BEARER) == "cert-1"
        await until(lambda: len(server.events("issued")) == 2)
        assert server.events("issued")[1]["peer"] == peer
        assert server.events("configuration reloaded")[0]["sections"] == ["server.tls"]


BAD: Final = {
    "half a file": (
        "tls.pem",
        b"-----BEGIN CERTIFICATE-----\nMIIB",
        "certificate contains no readable PEM",
    ),
    "another's key": (
        "tls.key",
        server_identity(OTHER_CA).private_key.reveal().encode(),
        "private_key does not match certificate",
    ),
    "nothing": ("tls.key", b"", "private_key contains no readable PEM key"),
    "a huge file": ("tls.pem", b"x" * 2_000_000, "tls.pem is too large"),
}


@pytest.mark.parametrize("what", BAD)
async def test_a_bad_certificate_keeps_the_old_one_and_is_reported_everywhere(
    tmp_path: Path, what: str
) -> None:
    name, data, problem = BAD[what]
    async with tls_server(tmp_path) as server:
        before = await asyncio.to_thread(shown, server.address)
        good = (tmp_path / name).read_bytes()
        replace(tmp_path / name, data)
        await until(lambda: server.events("degraded"))
        assert problem in server.events("degraded")[0]["problem"]
        assert problem in (await server.health())["degraded"]["configuration"]
        assert await server.metric(DEGRADED) == 1
        failed = 'token_authority_configuration_reloads_total{outcome="failed"}'
        assert await server.metric(failed) >= 1
        assert await asyncio.to_thread(shown, server.address) == before
        replace(tmp_path / name, good)
        await until(lambda: server.events("recovered"))
        assert (await server.health()) == {"status": "SERVING", "degraded": {}}
        assert await server.metric(DEGRADED) == 0
        # Said once, however often it was looked at.
        assert len(server.events("degraded")) == 1


async def test_a_file_that_goes_away_for_a_while_changes_nothing(tmp_path: Path) -> None:
    async with tls_server(tmp_path) as server, connected(trusts=CA)(server.address) as channel:
        (tmp_path / "tls.key").rename(tmp_path / "away")
        await until(lambda: server.events("degraded"))
        assert await key_id(channel, BEARER) == "cert-1"
        (tmp_path / "away").rename(tmp_path / "tls.key")
        await until(lambda: server.events("recovered"))


async def test_the_links_that_kubernetes_swaps_are_seen_through(tmp_path: Path) -> None:
    """A mounted secret is a link to `..data/x`, and `..data` a link that is replaced."""

    def mount(version: str, secret: str) -> None:
        folder = tmp_path / f"..{version}"
        folder.mkdir()
        (folder / "cert").write_text(secret)
        (tmp_path / "..new").symlink_to(folder.name)
        (tmp_path / "..new").rename(tmp_path / "..data")

    mount("2026_01", CERTIFICATE)
    text = SERVER + PROJECT.replace('file = "cert"', 'file = "mounted"') + BY_PLACE
    (tmp_path / "mounted").symlink_to("..data/cert")
    async with live(tmp_path, text) as server, aio.insecure_channel(server.address) as channel:
        assert await key_id(channel) == "cert-1"
        mount("2026_02", OLD_CERTIFICATE)
        shutil.rmtree(tmp_path / "..2026_01")
        await server.reloaded(1)
        assert server.events("configuration reloaded")[0]["keys"] == ["classroom/cert-1: active"]
        assert OLD_CERTIFICATE not in server.output


async def test_a_new_client_ca_holds_from_the_next_connection_on(tmp_path: Path) -> None:
    write_tls(tmp_path, CA)
    (tmp_path / "ca.pem").write_bytes(CA.cert_pem.bytes())
    client, other = pair(uri(SPIFFE), ca=CA), pair(uri(SPIFFE), ca=OTHER_CA)
    async with (
        live(tmp_path, MUTUAL) as server,
        connected(client, CA)(server.address) as old,
    ):
        assert await key_id(old) == "cert-1"
        replace(tmp_path / "ca.pem", OTHER_CA.cert_pem.bytes())
        await server.reloaded(1)
        assert await key_id(old) == "cert-1"
        async with connected(other, CA)(server.address) as new:
            assert await key_id(new) == "cert-1"
        async with connected(client, CA)(server.address) as gone:
            assert (await refused(stub(gone).IssueRtcToken(VALID))).code is StatusCode.UNAVAILABLE


async def test_a_caller_that_is_removed_is_refused_on_its_open_connection(tmp_path: Path) -> None:
    write_tls(tmp_path, CA)
    (tmp_path / "ca.pem").write_bytes(CA.cert_pem.bytes())
    async with (
        live(tmp_path, MUTUAL) as server,
        connected(pair(uri(SPIFFE), ca=CA), CA)(server.address) as channel,
    ):
        assert await key_id(channel) == "cert-1"
        configure(server, MUTUAL.replace(SPIFFE, "spiffe://example.org/other"))
        await server.reloaded(1)
        assert (await refused(stub(channel).IssueRtcToken(VALID))).reason == "CREDENTIAL_INVALID"
        assert server.events("configuration reloaded")[0]["callers"] == ["tester"]


async def test_sighup_looks_at_once_and_otherwise_nothing_does(tmp_path: Path) -> None:
    text = SERVER.replace("50ms", "0s") + PROJECT + BY_PLACE
    async with live(tmp_path, text) as server, aio.insecure_channel(server.address) as channel:
        configure(server, text.replace("cert-1", "cert-2"))
        await asyncio.sleep(0.3)
        assert await key_id(channel) == "cert-1"
        server.hang_up()
        await server.reloaded(1)
        assert await key_id(channel) == "cert-2"


TWO_KEYS: Final = """
[[projects.classroom.agora.certificates]]
id = "cert-2"
secret = { file = "cert-2" }
state = "STATE"
"""


async def test_keys_are_rotated_and_disabled_under_load_without_a_failed_call(
    tmp_path: Path,
) -> None:
    (tmp_path / "cert-2").write_text(OLD_CERTIFICATE)
    one = SERVER + PROJECT + TWO_KEYS.replace("STATE", "verify_only") + BY_PLACE
    two = one.replace('"active"', '"disabled"').replace('"verify_only"', '"active"')
    signed: list[str] = []
    done = asyncio.Event()

    async def load(channel: Any) -> None:
        while not done.is_set():
            signed.append(await key_id(channel))

    async with live(tmp_path, one) as server, aio.insecure_channel(server.address) as channel:
        calls = [asyncio.create_task(load(channel)) for _ in range(4)]
        for times, text in enumerate((two, one, two), 1):
            count = len(signed)
            await until(lambda count=count: len(signed) > count + 20)  # type: ignore[misc]
            configure(server, text)
            await server.reloaded(times)
        count = len(signed)
        await until(lambda: len(signed) > count + 20)
        done.set()
        await asyncio.gather(*calls)
        # Disabled means now: not one more after the log said so.
        assert set(signed[count + 4 :]) == {"cert-2"}
        assert set(signed) == {"cert-1", "cert-2"}
        assert server.events("configuration reloaded")[0]["keys"] == [
            "classroom/cert-1: disabled",
            "classroom/cert-2: active",
        ]


async def test_nobody_is_let_in_as_local_by_listeners_that_still_stand(tmp_path: Path) -> None:
    """The file may say loopback by now: until a restart, other machines reach this server."""
    write_tls(tmp_path, CA)
    public = SERVER.replace('listen = ["127', 'listen = ["0.0.0.0:0", "127', 1).replace(
        ', "127.0.0.1:0"', "", 1
    )
    async with (
        live(tmp_path, public + TLS + PROJECT + BY_KEY) as server,
        connected(trusts=CA)(server.address.replace("0.0.0.0", "127.0.0.1")) as channel,  # noqa: S104
    ):
        configure(server, SERVER + TLS + PROJECT + BY_KEY + caller("local", "here"))
        await until(lambda: server.events("degraded"))
        assert (
            "caller 'here': identities: 'local' would admit"
            in server.events("degraded")[0]["problem"]
        )
        assert (await refused(stub(channel).IssueRtcToken(VALID))).reason == "CREDENTIAL_MISSING"
        assert await key_id(channel, BEARER) == "cert-1"


STRANGE: Final = {
    "no TOML": "[",
    "a path with a NUL": PROJECT.replace('file = "cert"', 'file = "a\\u0000b"') + BY_PLACE,
    "a path that is too long": PROJECT.replace('file = "cert"', f'file = "{"x" * 5000}"')
    + BY_PLACE,
    "a folder": PROJECT.replace('file = "cert"', 'file = "."') + BY_PLACE,
    "a device without end": PROJECT.replace('file = "cert"', 'file = "/dev/zero"') + BY_PLACE,
    "lists that are too deep": "x = " + "[" * 5000,
    "an expectation that does not hold": PROJECT
    + BY_PLACE
    + '[[tests]]\ncaller = "tester"\nrequest = { rtc = { channel_name = "c", uid = 1, '
    'role = "RTC_ROLE_PUBLISHER" } }\nexpect = "GRANT_MISSING"\n',
}


@pytest.mark.parametrize("what", STRANGE)
async def test_whatever_the_file_says_the_next_one_is_read(tmp_path: Path, what: str) -> None:
    good = SERVER + PROJECT + BY_PLACE
    async with live(tmp_path, good) as server, aio.insecure_channel(server.address) as channel:
        configure(server, SERVER + STRANGE[what])
        await until(lambda: server.events("degraded"))
        # Several looks later, too.
        await asyncio.sleep(0.2)
        assert await key_id(channel) == "cert-1"
        configure(server, good.replace("cert-1", "cert-2"))
        await server.reloaded(1)
        assert await key_id(channel) == "cert-2"
        assert (await server.health())["degraded"] == {}


async def test_a_reload_that_changes_nothing_is_not_put_on_record(tmp_path: Path) -> None:
    text = SERVER.replace("50ms", "0s") + PROJECT + BY_PLACE + AUDIT
    async with live(tmp_path, text) as server:
        before = len(server.records)
        for times in (1, 2):
            server.hang_up()
            await server.reloaded(times)
        configure(server, text.replace("cert-1", "cert-2"))
        server.hang_up()
        await until(lambda: len(server.records) > before)
    after = server.records[before:]
    assert [record["keys"] for record in after] == [
        ["classroom/cert-1: removed", "classroom/cert-2: active"]
    ]


SECRETS: Final = """
[[projects.classroom.encryption.secrets]]
id = "enc-1"
secret = { file = "enc" }
state = "active"
"""


async def test_a_secret_that_replaces_the_current_one_at_once_is_logged(tmp_path: Path) -> None:
    (tmp_path / "enc").write_text(ENCRYPTION_SECRET * 2)
    text = SERVER + PROJECT + SECRETS
    async with live(tmp_path, text + BY_PLACE) as server:
        second = SECRETS.replace("enc-1", "enc-2") + "not_before = 2026-01-01T00:00:00Z\n"
        configure(server, text + second + BY_PLACE)
        await until(lambda: "'enc-2' replaced 'enc-1' at this reload" in server.output)
        server.hang_up()
        await server.reloaded(2)
        assert server.output.count("at this reload") == 1


async def test_a_change_that_needs_a_restart_is_logged_and_audited(tmp_path: Path) -> None:
    write_tls(tmp_path, CA)
    (tmp_path / "redis").write_text("redis://127.0.0.1:1")
    (tmp_path / "other-redis").write_text("redis://127.0.0.1:2")
    limits = '[limits]\nredis = { file = "redis" }\n'
    rest = PROJECT + BY_PLACE + AUDIT
    async with live(tmp_path, SERVER + limits + rest) as server:
        text = SERVER.replace('drain = "2s"', 'drain = "3s"') + TLS
        configure(server, text + limits.replace('"redis"', '"other-redis"') + rest)
        await server.reloaded(1)
        (line,) = server.events("configuration reloaded")
        assert line["restart_needed"] == ["limits.redis", "server.drain", "server.tls"]
        await until(lambda: len(server.records) >= 2)
        await asyncio.sleep(0.2)
        assert len(server.records) == 2
        assert server.records[1]["restart_needed"] == line["restart_needed"]


async def test_a_reload_on_sighup_changes_the_log_level(tmp_path: Path) -> None:
    text = SERVER.replace('"50ms"', '"0s"') + PROJECT + BY_PLACE
    path = tmp_path / "token-authority.toml"

    async def set_level(level: str) -> None:
        replace(path, f'{text}{LOG}level = "{level}"\n')
        reloads = await server.metric(RELOADS)
        server.hang_up()

        async def is_applied() -> bool:
            return await server.metric(RELOADS) > reloads

        await until_await(is_applied)

    async with live(tmp_path, text) as server, aio.insecure_channel(server.address) as channel:
        await key_id(channel)
        await until(lambda: len(server.events("issued")) == 1)
        await set_level("warning")
        await key_id(channel)
        await set_level("info")
        await until(lambda: server.events("configuration reloaded"))
        (line,) = server.events("configuration reloaded")
        assert line["sections"] == ["log.level"]
        assert "restart_needed" not in line
        await key_id(channel)
        await until(lambda: len(server.events("issued")) == 2)
        await set_level("error")
        replace(path, "[broken")
        server.hang_up()
        await until(lambda: server.events("degraded"))
        assert len(server.events("configuration reloaded")) == 1


async def test_a_new_key_of_the_identity_provider_is_taken_from_its_file(tmp_path: Path) -> None:
    old, new = Signer("ES256", "old"), Signer("EdDSA", "new")
    (tmp_path / "jwks.json").write_bytes(key_set(old))
    jwt = (
        f'[authentication.jwt]\nissuer = "{ISSUER}"\naudience = "{AUDIENCE}"\n'
        'jwks = { file = "jwks.json" }\n'
    )
    text = SERVER + jwt + PROJECT + caller(IDENTITY) + AUDIT
    was, now = ((("authorization", f"Bearer {signer.sign()}"),) for signer in (old, new))
    async with live(tmp_path, text) as server, aio.insecure_channel(server.address) as channel:
        assert await key_id(channel, was) == "cert-1"
        replace(tmp_path / "jwks.json", key_set(new))
        await server.reloaded(1)
        assert await key_id(channel, now) == "cert-1"
        # It was remembered.
        call = stub(channel).IssueRtcToken(VALID, metadata=was)
        assert (await refused(call)).reason == "CREDENTIAL_INVALID"
        # Who may say who asks is on record.
        await until(
            lambda: any(row.get("sections") == ["authentication"] for row in server.records)
        )


async def test_a_replaced_identity_provider_has_no_say_any_more(tmp_path: Path) -> None:
    signer, arrived, over = Signer("ES256", "key"), threading.Event(), threading.Event()

    def late(handler: BaseHTTPRequestHandler) -> None:
        arrived.set()
        over.wait(10)
        send(handler, b"", status=500)

    def text(url: str) -> str:
        jwt = f'[authentication.jwt]\nissuer = "{ISSUER}"\naudience = "{AUDIENCE}"\n'
        return SERVER + jwt + f'jwks = "{url}"\njwks_ca = "ca.pem"\n' + PROJECT + caller(IDENTITY)

    bearer = (("authorization", f"Bearer {signer.sign()}"),)
    (tmp_path / "ca.pem").write_bytes(CA.cert_pem.bytes())
    with key_server(signer, ca=CA) as old, key_server(signer, ca=CA) as new:
        old.answer = late
        async with (
            live(tmp_path, text(old.url)) as server,
            aio.insecure_channel(server.address) as channel,
        ):
            asking = asyncio.create_task(
                refused(stub(channel).IssueRtcToken(VALID, metadata=bearer))
            )
            await asyncio.to_thread(arrived.wait, 10)
            configure(server, text(new.url))
            await server.reloaded(1)
            assert await key_id(channel, bearer) == "cert-1"
            over.set()
            assert (await asking).reason == "CREDENTIAL_UNVERIFIABLE"
            await until(lambda: server.events("refused"))
            assert not server.events("degraded")
            # One that is not replaced has.
            new.body = b"{}"
            configure(server, text(f"{new.url}?broken"))
            await server.reloaded(2)
            call = stub(channel).IssueRtcToken(VALID, metadata=bearer)
            assert (await refused(call)).reason == "CREDENTIAL_UNVERIFIABLE"
            await until(lambda: server.events("degraded"))
            # Every replica has this provider: degraded, and still ready.
            health = await server.health()
            assert (health["status"], set(health["degraded"])) == ("SERVING", {"jwks"})
