import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jwt
import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from support.jwks import Answer, KeyServer, Signer, key_server, key_set, send
from support.ports import free_port
from support.waiting import until
from token_authority_server.identity import key_sources
from token_authority_server.identity.jwks import parse
from token_authority_server.identity.jwks_fetch import JwksError, Location
from token_authority_server.identity.key_sources import (
    COOLDOWN_SECONDS,
    MAX_AGE_SECONDS,
    REFRESH_SECONDS,
    RemoteKeys,
)

SIGNER = Signer("ES256")


class Fetching:
    """Keys of a URL, a clock that moves when told to, and what was reported."""

    def __init__(self, location: Location) -> None:
        self.now = 0.0
        self.failures: list[str] = []
        self.skipped: Sequence[str] = ()
        self.keys = RemoteKeys(
            location,
            self.failures.append,
            self.failures.clear,
            on_skipped=self._skip,
            clock=lambda: self.now,
        )

    def _skip(self, skipped: Sequence[str]) -> None:
        self.skipped = skipped

    @property
    def ids(self) -> list[str | None]:
        return [key.key_id for key in self.keys.keys]

    async def fetch(self) -> list[str | None]:
        """Fetches anew, whatever the time."""
        self.now += COOLDOWN_SECONDS
        await self.keys.refresh(missing=True)
        return self.ids


@pytest.fixture
def server() -> Iterator[KeyServer]:
    with key_server(SIGNER) as serving:
        yield serving


async def test_keys_are_fetched_when_they_are_first_needed(server: KeyServer) -> None:
    fetching = Fetching(Location(server.url))
    assert not server.requests
    assert await fetching.fetch() == ["key-1"]
    fetching.now += 7
    assert fetching.keys.age_seconds == 7
    assert server.requests[0]["Accept"] == "application/jwk-set+json, application/json"
    assert "Authorization" not in server.requests[0]


async def test_keys_that_are_old_are_fetched_anew_and_serve_meanwhile(server: KeyServer) -> None:
    fetching = Fetching(Location(server.url))
    await fetching.fetch()
    server.body = key_set(Signer("ES256", "key-2"))
    fetching.now += REFRESH_SECONDS
    await fetching.keys.refresh(missing=False)
    await asyncio.sleep(0.1)
    assert len(server.requests) == 1
    fetching.now += 1
    await fetching.keys.refresh(missing=False)
    assert fetching.ids == ["key-1"]
    await until(lambda: fetching.ids == ["key-2"])
    assert len(server.requests) == 2
    # The age is counted anew.
    fetching.now += REFRESH_SECONDS
    await fetching.keys.refresh(missing=False)
    await asyncio.sleep(0.1)
    assert len(server.requests) == 2


async def test_nobody_waits_for_a_slow_provider_while_there_are_keys(
    server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_sources, "TIMEOUT_SECONDS", 0.3)
    fetching, over = Fetching(Location(server.url)), threading.Event()
    await fetching.fetch()

    def hang(_: object) -> None:
        over.wait(10)

    server.answer = hang
    # From the age at which keys are refreshed to long after the one at which calls wait for it.
    fetching.now += REFRESH_SECONDS + 1
    for number in range(4):
        await fetching.keys.refresh(missing=False)
        await until(lambda number=number: len(server.requests) == number + 2)  # type: ignore[misc]
        assert len(fetching.failures) == number, "the call waited for the end of the fetch"
        await until(lambda number=number: len(fetching.failures) == number + 1)  # type: ignore[misc]
        fetching.now += REFRESH_SECONDS
    assert fetching.ids == ["key-1"]
    over.set()


async def test_missing_keys_are_asked_for_once_in_a_while_however_many_ask(
    server: KeyServer,
) -> None:
    fetching = Fetching(Location(server.url))
    await asyncio.gather(*[fetching.keys.refresh(missing=True) for _ in range(200)])
    assert len(server.requests) == 1
    for _ in range(int(COOLDOWN_SECONDS) - 1):
        fetching.now += 1
        await fetching.keys.refresh(missing=True)
    assert len(server.requests) == 1
    fetching.now += 1
    await fetching.keys.refresh(missing=True)
    assert len(server.requests) == 2


async def test_a_caller_that_gives_up_does_not_end_the_fetch_of_others(server: KeyServer) -> None:
    gate = threading.Event()

    def late(handler: object) -> None:
        gate.wait(10)
        server.answer = None
        server.respond(handler)  # type: ignore[arg-type]

    server.answer = late
    fetching = Fetching(Location(server.url))
    first = asyncio.create_task(fetching.keys.refresh(missing=True))
    other = asyncio.create_task(fetching.keys.refresh(missing=True))
    await asyncio.sleep(0.05)
    first.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await first
    gate.set()
    await other
    assert fetching.ids == ["key-1"]


def a_redirect(status: int, to: str) -> Answer:
    return lambda handler: send(handler, b"", status, Location=to)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed_and_gets_no_bearer(
    server: KeyServer, tmp_path: Path, status: int
) -> None:
    (tmp_path / "bearer").write_text("a-secret-bearer\n")
    with key_server(Signer("ES256", "evil")) as elsewhere:
        server.answer = a_redirect(status, elsewhere.url)
        fetching = Fetching(Location(server.url, token_file=tmp_path / "bearer"))
        assert await fetching.fetch() == []
        assert not elsewhere.requests
    assert server.requests[0]["Authorization"] == "Bearer a-secret-bearer"
    assert fetching.failures == [f"{server.url}: cannot be fetched: HTTP status {status}"]


def write(text: bytes) -> Answer:
    """Answers with bytes as they are."""

    def answer(handler: object) -> None:
        handler.wfile.write(text)  # type: ignore[attr-defined]

    return answer


def listing(*rows: object) -> bytes:
    return json.dumps({"keys": rows}).encode()


STRANGE = {
    "larger than a key set may be": (b"x" * 10_000_000, "is larger than 1048576 bytes"),
    "not JSON": (b"<html>", "is not a JSON Web Key Set"),
    "not UTF-8": (b"\xff\xfe{", "is not a JSON Web Key Set"),
    "too deep": (b"[" * 100_000, "is not a JSON Web Key Set"),
    "no list": (b'{"keys": "RSA"}', "is not a JSON Web Key Set"),
    "no keys": (listing(), "has no key that can verify a signature: it is empty"),
    "a shared secret": (listing({"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"}), "has no key"),
    "for encryption": (listing({**SIGNER.jwk, "use": "enc"}), "has no key"),
    "a number that is none": (listing({"kty": "RSA", "n": 5, "e": "AQAB"}), "has no key"),
    "a point that is none": (
        listing({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}),
        "has no key",
    ),
    "a kind of key that is a list": (listing({"kty": ["RSA"]}), "has no key"),
    "nothing of a key": (listing({"kty": "RSA"}), "has no key"),
}


@pytest.mark.parametrize("what", STRANGE)
async def test_a_strange_key_set_is_reported_and_the_old_keys_stay(
    server: KeyServer, what: str
) -> None:
    fetching = Fetching(Location(server.url))
    await fetching.fetch()
    server.body, problem = STRANGE[what]
    assert await fetching.fetch() == ["key-1"]
    assert len(fetching.failures) == 1
    assert fetching.failures[0].startswith(f"{server.url}: {problem}")
    server.body = key_set(SIGNER)
    await fetching.fetch()
    assert not fetching.failures


def private_jwk(algorithm: str) -> dict[str, Any]:
    to_jwk: Any = jwt.get_algorithm_by_name(algorithm)
    row: dict[str, Any] = json.loads(to_jwk.to_jwk(Signer(algorithm).private))
    row.pop("key_ops", None)
    return row


def jwk(private: Any, algorithm: str) -> dict[str, Any]:
    """The public half of a key, without a word on what it is for."""
    to_jwk: Any = jwt.get_algorithm_by_name(algorithm)
    row: dict[str, Any] = json.loads(to_jwk.to_jwk(private.public_key()))
    row.pop("key_ops", None)
    return row


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_a_set_of_private_keys_is_refused(algorithm: str) -> None:
    with pytest.raises(JwksError) as caught:
        parse(listing(private_jwk(algorithm)))
    assert str(caught.value) == (
        "has no key that can verify a signature: key 1: it contains private key material: publish "
        "the public key alone, and replace this key pair, which must count as leaked"
    )


@pytest.mark.parametrize("field", ["d", "p", "q", "dp", "dq", "qi", "oth"])
def test_no_part_of_a_private_key_may_be_in_a_set(field: str) -> None:
    with pytest.raises(JwksError, match="it contains private key material"):
        parse(listing({**SIGNER.jwk, field: "AA"}))


EC = {name: value for name, value in SIGNER.jwk.items() if name not in {"alg", "kid", "use"}}
RSA = {name: value for name, value in Signer("RS256").jwk.items() if name not in {"kid", "use"}}
ACCEPTED = "RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA"
PRIVATE = (
    "it contains private key material: publish the public key alone, and replace this key pair, "
    "which must count as leaked"
)
ODD_KEYS: dict[str, tuple[object, str]] = {
    "alg none": ({**EC, "alg": "none"}, f'its alg "none" is not accepted (accepted: {ACCEPTED})'),
    "alg HS256": (
        {**RSA, "alg": "HS256"},
        f'its alg "HS256" is not accepted (accepted: {ACCEPTED})',
    ),
    "alg for encryption": (
        {**RSA, "alg": "RSA-OAEP"},
        f'its alg "RSA-OAEP" is not accepted (accepted: {ACCEPTED})',
    ),
    "alg that is a list": (
        {**EC, "alg": ["ES256"]},
        f'its alg ["ES256"] is not accepted (accepted: {ACCEPTED})',
    ),
    "alg that is long": (
        {**EC, "alg": "x" * 999},
        f'its alg "{"x" * 39}… is not accepted (accepted: {ACCEPTED})',
    ),
    "alg of another kind of key": ({**EC, "alg": "RS256"}, "it is not a valid EC key"),
    "alg of another curve": ({**EC, "alg": "ES384"}, 'its alg "ES384" needs another curve'),
    "kty that is new": ({"kty": "AKP", "alg": "ES256"}, 'its kty "AKP" is not RSA, EC or OKP'),
    "kty that is a list": ({**EC, "kty": ["EC"]}, 'its kty ["EC"] is not RSA, EC or OKP'),
    "no kty": ({}, "its kty null is not RSA, EC or OKP"),
    "a shared secret": ({"kty": "oct", "k": "c2VjcmV0"}, 'its kty "oct" is not RSA, EC or OKP'),
    "a short RSA key": (
        jwk(rsa.generate_private_key(65537, 1024), "RS256"),  # noqa: S505  # it is refused
        "its 1024 bits are fewer than the 2048 that RSA needs",
    ),
    "use enc": ({**EC, "use": "enc"}, 'its use is "enc", not "sig"'),
    "key_ops to sign": ({**EC, "key_ops": ["sign"]}, 'its key_ops ["sign"] lack "verify"'),
    "key_ops that are text": ({**EC, "key_ops": "verify"}, 'its key_ops "verify" lack "verify"'),
    "kid that is a number": ({**EC, "kid": 7}, "its kid is not a string"),
    "n that is a number": ({**RSA, "n": 5}, "it is not a valid RSA key"),
    "n that is no base64": ({**RSA, "n": "\u00fc"}, "it is not a valid RSA key"),
    "n that is zero": ({**RSA, "n": "AA"}, "it is not a valid RSA key"),
    "n that is missing": ({"kty": "RSA", "e": "AQAB"}, "it is not a valid RSA key"),
    "e that is one": ({**RSA, "e": "AQ"}, "it is not a valid RSA key"),
    "a point off the curve": ({**EC, "y": EC["x"]}, "it is not a valid EC key"),
    "a curve that is new": ({**EC, "crv": "P-999"}, "it is not a valid EC key"),
    "a curve that is not accepted": (
        jwk(ec.generate_private_key(ec.SECP256K1()), "ES256K"),
        'its curve "secp256k1" is not P-256, P-384 or P-521',
    ),
    "a key to agree by": (
        {"kty": "OKP", "crv": "X25519", "x": "A" * 43},
        "it is not a valid OKP key",
    ),
    "a private EC key": (private_jwk("ES256"), PRIVATE),
    "a private RSA key": (private_jwk("RS256"), PRIVATE),
    "a prime of an RSA key": ({**RSA, "p": "AQAB"}, PRIVATE),
    "no object": ("key", "it is not a JSON object"),
    "null": (None, "it is not a JSON object"),
}


@pytest.mark.parametrize("what", ODD_KEYS)
def test_an_odd_key_is_skipped_and_the_others_serve(what: str) -> None:
    odd, reason = ODD_KEYS[what]
    found = parse(listing(odd, SIGNER.jwk))
    assert [key.key_id for key in found.keys] == ["key-1"]
    kid = odd.get("kid") if isinstance(odd, dict) else None
    label = f'key 1 (kid "{kid}")' if isinstance(kid, str) else "key 1"
    assert found.skipped == (f"{label}: {reason}",)


def test_a_key_that_does_not_say_what_it_is_for_verifies() -> None:
    plain = parse(listing(EC, {**EC, "use": "sig", "key_ops": ["sign", "verify"]}))
    assert [key.algorithm for key in plain.keys] == [None, None]
    assert plain.skipped == ()


async def test_what_was_skipped_is_reported_with_each_fetch(server: KeyServer) -> None:
    fetching = Fetching(Location(server.url))
    server.body = listing(SIGNER.jwk, {"kty": "AKP", "kid": "new"})
    assert await fetching.fetch() == ["key-1"]
    assert list(fetching.skipped) == ['key 2 (kid "new"): its kty "AKP" is not RSA, EC or OKP']
    server.body = listing(SIGNER.jwk)
    await fetching.fetch()
    assert list(fetching.skipped) == []
    assert not fetching.failures


@pytest.mark.parametrize(("age", "waits"), [(600, False), (601, True)])
async def test_after_a_quiet_time_the_first_call_waits_for_new_keys(
    server: KeyServer, age: int, waits: bool
) -> None:
    assert MAX_AGE_SECONDS == 600
    fetching = Fetching(Location(server.url))
    await fetching.fetch()
    server.body = key_set(Signer("ES256", "key-2"))
    fetching.now += age
    await fetching.keys.refresh(missing=False)
    assert fetching.ids == ["key-2" if waits else "key-1"]
    await until(lambda: fetching.ids == ["key-2"])


ANSWERS = {
    "no HTTP": write(b"\0\0\0\r\n\r\n"),
    "a status that is no number": write(b"HTTP/1.1 \x1b[2J" + b"x" * 60_000 + b"\r\n\r\n"),
    "cut short": write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"),
    "nothing": write(b""),
    "an endless header": write(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000 + b"\r\n\r\n"),
    "many headers": write(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n"),
    "an error": lambda handler: send(handler, b"", 500),
    "another compression": write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n"),
}


@pytest.mark.parametrize("what", ANSWERS)
async def test_a_strange_answer_is_reported_and_the_old_keys_stay(
    server: KeyServer, what: str
) -> None:
    fetching = Fetching(Location(server.url))
    await fetching.fetch()
    server.answer = ANSWERS[what]
    assert await fetching.fetch() == ["key-1"]
    assert len(fetching.failures) == 1
    assert "cannot be fetched" in fetching.failures[0]
    assert fetching.failures[0].isprintable()
    assert len(fetching.failures[0]) < 300


async def test_nobody_there_is_reported_and_later_somebody_is() -> None:
    fetching = Fetching(Location(f"http://127.0.0.1:{free_port()}/jwks"))
    assert await fetching.fetch() == []
    assert fetching.keys.age_seconds is None
    assert "Connection refused" in fetching.failures[0]


@pytest.mark.parametrize("where", ["in the body", "before the headers"])
async def test_a_slow_answer_is_given_up(
    server: KeyServer, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """A drop now and then keeps a connection from timing out: the whole has to have an end."""
    monkeypatch.setattr(key_sources, "TIMEOUT_SECONDS", 0.3)
    over = threading.Event()

    def drip(handler: object) -> None:
        file = handler.wfile  # type: ignore[attr-defined]
        if where == "in the body":
            file.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        with contextlib.suppress(OSError):
            while not over.wait(0.05):
                file.write(b" ")

    server.answer = drip
    fetching = Fetching(Location(server.url))
    async with asyncio.timeout(5):
        assert await fetching.fetch() == []
    assert fetching.failures == [f"{server.url}: cannot be fetched: took longer than 0.3 s"]
    over.set()


async def test_tls_is_checked_by_the_ca_that_is_configured(tmp_path: Path) -> None:
    ca = trustme.CA()
    (tmp_path / "bearer").write_text("a-secret-bearer")
    with key_server(SIGNER, ca=ca) as server:
        good = Location(server.url, ca.cert_pem.bytes(), tmp_path / "bearer")
        assert await Fetching(good).fetch() == ["key-1"]
        for wrong in (trustme.CA().cert_pem.bytes(), None, b"junk", b"\xff", b"", "ü".encode()):
            fetching = Fetching(Location(server.url, wrong, tmp_path / "bearer"))
            assert await fetching.fetch() == []
            assert len(fetching.failures) == 1
        assert len(server.requests) == 1
        # PEM files of authorities have comments, in any language.
        noted = "# Zürich\n".encode() + ca.cert_pem.bytes()
        assert await Fetching(Location(server.url, noted)).fetch() == ["key-1"]


@pytest.mark.parametrize(
    "text", ["a-secret\nbearer", "a-secret\r\nX-Evil: 1", "a-secret-\u00fc", "a-secret\0"]
)
async def test_a_bearer_that_cannot_be_sent_is_not_shown(
    server: KeyServer, tmp_path: Path, text: str
) -> None:
    (tmp_path / "bearer").write_text(text)
    fetching = Fetching(Location(server.url, token_file=tmp_path / "bearer"))
    assert await fetching.fetch() == []
    assert not server.requests
    assert fetching.failures == [
        f"{server.url}: cannot be fetched: {tmp_path / 'bearer'} is not one line of ASCII text"
    ]


async def test_a_bearer_file_that_is_gone_is_named(server: KeyServer, tmp_path: Path) -> None:
    fetching = Fetching(Location(server.url, token_file=tmp_path / "gone"))
    assert await fetching.fetch() == []
    assert f"No such file or directory: '{tmp_path / 'gone'}'" in fetching.failures[0]


async def test_a_bearer_is_read_anew_for_each_fetch(server: KeyServer, tmp_path: Path) -> None:
    fetching = Fetching(Location(server.url, token_file=tmp_path / "bearer"))
    for bearer in ("one", "two"):
        (tmp_path / "bearer").write_text(bearer)
        await fetching.fetch()
    assert [request["Authorization"] for request in server.requests] == [
        "Bearer one",
        "Bearer two",
    ]


async def test_a_query_of_the_url_is_not_shown(server: KeyServer) -> None:
    server.body = b""
    fetching = Fetching(Location(f"{server.url}?key=a-secret"))
    await fetching.fetch()
    assert fetching.failures == [f'{server.url}: is not a JSON Web Key Set: {{ "keys": [ … ] }}']
    assert server.requests[0][":path"] == "/jwks?key=a-secret"
