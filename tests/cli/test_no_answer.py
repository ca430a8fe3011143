"""Every way in which no token comes, as the command line tells it: one line, and its exit code."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from grpc import aio

from support import granting
from support.certificates import server_identity
from support.clients import answering
from support.commands import Ran, run
from support.ports import free_port
from support.serving import running
from support.tls import pem_files

RTC = ("issue", "rtc", "--channel", "lesson-1", "--uid", "7", "--role", "publisher")
NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


def credentials(ca: trustme.CA, name: str = "localhost", clients: trustme.CA | None = None) -> Any:
    leaf = ca.issue_cert(name)
    pair = (leaf.private_key_pem.bytes(), leaf.cert_chain_pems[0].bytes())
    roots = clients.cert_pem.bytes() if clients else None
    return grpc.ssl_server_credentials([pair], roots, clients is not None)


async def never(_: bytes, __: Any) -> bytes:
    raise AssertionError


async def slow(_: bytes, __: Any) -> bytes:
    await asyncio.sleep(3)
    return b""


async def failed(*arguments: str) -> Ran:
    ran = await run(*RTC, *arguments)
    assert ran.out == ""
    assert ran.err.startswith("token-authority: ")
    assert ran.err.count("\n") == 1
    return ran


async def test_nothing_listens() -> None:
    ran = await failed("--target", f"127.0.0.1:{free_port()}")
    assert (ran.code, "nothing listens" in ran.err) == (7, True)


async def test_the_name_does_not_exist() -> None:
    ran = await failed("--target", "ta.invalid:50051", "--timeout", "3s")
    assert (ran.code, "has no address" in ran.err) == (7, True)


async def test_the_certificate_is_for_another_name(tmp_path: Path, ca: trustme.CA) -> None:
    pem_files(tmp_path, ca)
    async with answering(never, credentials(ca, "ta.example.com")) as target:
        ran = await failed("--target", target, "--ca", str(tmp_path / "ca.pem"))
    assert (ran.code, "is not for localhost" in ran.err) == (7, True)


async def test_the_ca_is_another(tmp_path: Path, ca: trustme.CA) -> None:
    pem_files(tmp_path, trustme.CA())
    async with answering(never, credentials(ca)) as target:
        ran = await failed("--target", target, "--ca", str(tmp_path / "ca.pem"))
    assert (ran.code, "CA" in ran.err) == (7, True)


async def test_the_client_certificate_has_expired(tmp_path: Path, ca: trustme.CA) -> None:
    old = ca.issue_cert(
        "lessons.example.org",
        not_before=NOW - timedelta(days=2),
        not_after=NOW - timedelta(days=1),
    )
    pem_files(tmp_path, ca, old)
    files = {"--ca": "ca.pem", "--cert": "client.pem", "--key": "client-key.pem"}
    options = [part for name, file in files.items() for part in (name, str(tmp_path / file))]
    async with answering(never, credentials(ca, clients=ca)) as target:
        ran = await failed("--target", target, *options)
    assert (ran.code, "expired" in ran.err) == (3, True)


async def test_plaintext_to_a_port_with_tls(ca: trustme.CA) -> None:
    async with answering(never, credentials(ca)) as target:
        ran = await failed("--target", target)
    assert (ran.code, "TLS" in ran.err) == (7, True)


async def test_tls_to_a_port_without(tmp_path: Path, ca: trustme.CA) -> None:
    pem_files(tmp_path, ca)
    async with answering(never) as target:
        ran = await failed("--target", target, "--ca", str(tmp_path / "ca.pem"))
    assert (ran.code, "TLS" in ran.err) == (7, True)


async def test_the_key_is_refused(tmp_path: Path, ca: trustme.CA) -> None:
    pem_files(tmp_path, ca)
    (tmp_path / "key").write_text("tak_of-somebody-else")
    who = granting.callers(
        granting.caller(granting.grant(), identities=[granting.API_KEY_IDENTITY])
    )
    trusted = grpc.ssl_channel_credentials(ca.cert_pem.bytes())
    async with running(
        who=who,
        identity=server_identity(ca),
        connect=lambda address: aio.secure_channel(address, trusted),
    ) as server:
        ran = await failed(
            *("--target", server.address, "--ca", str(tmp_path / "ca.pem")),
            *("--token-file", str(tmp_path / "key")),
        )
    assert (ran.code, "invalid credential" in ran.err) == (3, True)
    assert "somebody-else" not in ran.err


async def test_the_deadline_passes() -> None:
    async with answering(slow) as target:
        ran = await failed("--target", target, "--timeout", "300ms")
    assert (ran.code, "300" in ran.err or "time" in ran.err) == (7, True)
