"""Credentials through the wire: good ones, and all that may be tried instead."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
from grpc import StatusCode, aio

from support import granting
from support.http2 import call_raw
from support.jwks import (
    AUDIENCE,
    IDENTITY,
    ISSUER,
    SUBJECT,
    KeyServer,
    Signer,
    claims_with,
    key_server,
    key_set,
    send,
)
from support.serving import Running, refused, running
from support.waiting import until, until_await
from token_authority.v1 import authority_pb2
from token_authority.v1.authority_service_pb2_grpc import AuthorityServiceStub
from token_authority.v1.rtc_pb2 import RTC_ROLE_PUBLISHER, IssueRtcTokenRequest
from token_authority_server.identity.jwks import parse
from token_authority_server.identity.jwks_fetch import Location
from token_authority_server.identity.jwt_bearer import JwtPolicy, JwtVerifier
from token_authority_server.identity.key_sources import (
    MAX_AGE_SECONDS,
    REFRESH_SECONDS,
    FixedKeys,
    KeySource,
    RemoteKeys,
)

VALID: Final = IssueRtcTokenRequest(channel_name="c", uid=1, role=RTC_ROLE_PUBLISHER)
OTHER_KEY: Final = "tak_" + "z" * 43
OTHER: Final = f"api-key:sha256:{hashlib.sha256(OTHER_KEY.encode()).hexdigest()}"
CALLERS: Final = granting.callers(
    granting.caller(
        granting.grant(), name="lessons", identities=[granting.API_KEY_IDENTITY, IDENTITY]
    ),
    granting.caller(granting.grant(channels=("other-*",)), name="other", identities=[OTHER]),
)
# Not the server's own list, from which one may get lost.
SIGNERS: Final = {
    name: Signer(name, name)
    for name in (
        *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
        *("ES256", "ES384", "ES512", "EdDSA"),
    )
}
SIGNER: Final = SIGNERS["ES256"]


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)


async def who(server: Running, metadata: Any) -> str:
    """Asks the server who the caller is."""
    stub: Any = AuthorityServiceStub(server.channel)
    answer = await stub.GetAuthorityInfo(authority_pb2.GetAuthorityInfoRequest(), metadata=metadata)
    return f"{answer.caller} by {answer.identity}"


async def detail(server: Running, metadata: Any, reason: str = "CREDENTIAL_INVALID") -> str:
    """A call that is refused; returns what the log says of it, and only the log."""
    refusal = await refused(server.stub.IssueRtcToken(VALID, metadata=metadata))
    assert refusal.reason == reason
    if reason.startswith("CREDENTIAL_") and reason != "CREDENTIAL_UNVERIFIABLE":
        assert refusal.code is StatusCode.UNAUTHENTICATED
    line = server.log[-1]
    assert (line["event"], line["reason"]) == ("refused", reason)
    text: str = line.get("detail", "")
    if text:
        assert text not in refusal.message
    return text


@pytest.fixture
async def keyed() -> AsyncGenerator[Running]:
    """A server with API keys alone."""
    async with running(who=CALLERS) as server:
        yield server


async def test_an_api_key_is_its_caller(keyed: Running) -> None:
    key = granting.API_KEY
    shown = granting.API_KEY_IDENTITY[: len("api-key:sha256:") + 8]
    assert await who(keyed, bearer(key)) == f"lessons by {shown}"
    for value in (f"bearer {key}", f"BEARER {key}", f"Bearer   {key} "):
        assert await who(keyed, (("authorization", value),)) == f"lessons by {shown}"


POLICY: Final = JwtPolicy(ISSUER, AUDIENCE, 0)


@pytest.mark.parametrize(
    ("identities", "jwt", "accepted"),
    [
        ([OTHER], None, "an API key as 'authorization: Bearer …'"),
        (["spiffe://example.org/a"], None, "a client certificate over mTLS"),
        ([IDENTITY], JwtVerifier(POLICY, FixedKeys([])), "a JWT as 'authorization: Bearer …'"),
        (
            [OTHER, IDENTITY, "dns:a"],
            JwtVerifier(POLICY, FixedKeys([])),
            "an API key or a JWT as 'authorization: Bearer …', or a client certificate over mTLS",
        ),
    ],
)
async def test_a_call_without_a_credential_is_refused_with_the_accepted_schemes(
    identities: list[str], jwt: JwtVerifier | None, accepted: str
) -> None:
    callers = granting.callers(granting.caller(granting.grant(), identities=identities))
    async with running(who=callers, jwt=jwt) as server:
        refusal = await refused(server.stub.IssueRtcToken(VALID))
        assert (refusal.code, refusal.reason) == (StatusCode.UNAUTHENTICATED, "CREDENTIAL_MISSING")
        assert refusal.metadata["accepted"] == accepted


async def test_the_key_of_another_caller_has_that_ones_grants(keyed: Running) -> None:
    call = keyed.stub.IssueRtcToken(VALID, metadata=bearer(OTHER_KEY))
    assert (await refused(call)).reason == "GRANT_MISSING"


KEY = granting.API_KEY
WRONG = {
    "unknown": f"Bearer tak_{'q' * 43}",
    "truncated": f"Bearer {KEY[:-1]}",
    "a character more": f"Bearer {KEY}x",
    "another case": f"Bearer {KEY.swapcase()}",
    "its hash": f"Bearer {granting.API_KEY_IDENTITY}",
    "the hash alone": f"Bearer {granting.API_KEY_IDENTITY.rpartition(':')[2]}",
    "twice": f"Bearer {KEY} {KEY}",
    "with a comma": f"Bearer {KEY},{OTHER_KEY}",
    "empty": "Bearer ",
    "no scheme": KEY,
    "another scheme": f"Basic {base64.b64encode(f'lessons:{KEY}'.encode()).decode()}",
    "no space": f"Bearer{KEY}",
    "long": f"Bearer {'k' * 7000}",
    "a JWT where none are taken": f"Bearer {SIGNER.sign()}",
    "two dots": f"Bearer {KEY}..",
}


@pytest.mark.parametrize("what", WRONG)
async def test_wrong_keys_are_refused_in_the_same_words(keyed: Running, what: str) -> None:
    unknown = await refused(
        keyed.stub.IssueRtcToken(VALID, metadata=(("authorization", WRONG["unknown"]),))
    )
    refusal = await refused(
        keyed.stub.IssueRtcToken(VALID, metadata=(("authorization", WRONG[what]),))
    )
    assert refusal.code is StatusCode.UNAUTHENTICATED
    assert refusal.reason == "CREDENTIAL_INVALID"
    assert (refusal.message, refusal.metadata) == (unknown.message, unknown.metadata)
    assert not {KEY, OTHER_KEY} & set(keyed.output.getvalue().split('"'))
    assert KEY not in keyed.output.getvalue()


async def test_several_keys_are_refused_though_each_is_good(keyed: Running) -> None:
    assert await detail(keyed, bearer(KEY) + bearer(OTHER_KEY)) == "several authorization headers"
    assert await detail(keyed, bearer(KEY) + bearer(KEY)) == "several authorization headers"


async def test_a_binary_header_is_no_credential(keyed: Running) -> None:
    metadata = (("authorization-bin", f"Bearer {KEY}".encode()),)
    await detail(keyed, metadata, "CREDENTIAL_MISSING")


async def test_a_bearer_that_is_no_callers_is_refused_where_none_would_do() -> None:
    async with running() as server:
        assert await who(server, ()) == "tester by local"
        assert await detail(server, bearer("x")) == "no caller has this API key"


NO_HEADERS = {
    "a tab": b"Bearer\t" + KEY.encode(),
    "a NUL behind": b"Bearer " + KEY.encode() + b"\0",
    "a NUL before": b"Bearer \0" + KEY.encode(),
    "a line break": b"Bearer " + KEY.encode() + b"\r\nx-evil: 1",
    "no UTF-8": b"Bearer \xff\xfe" + KEY.encode(),
    "a look-alike": "Bearer t\u0430k_".encode() + KEY.encode(),
}


@pytest.mark.parametrize("what", NO_HEADERS)
async def test_bytes_that_no_header_may_have_open_nothing(keyed: Running, what: str) -> None:
    """Clients of grpc refuse to send these; whoever writes frames by hand does not."""
    await call_raw(keyed.address, "IssueRtcToken", [(b"authorization", NO_HEADERS[what])])
    # grpc itself refuses some of them, and then there is no line.
    reasons = [line["reason"] for line in keyed.log]
    assert reasons in ([], ["CREDENTIAL_INVALID"])
    good = f"Bearer {KEY}".encode()
    await call_raw(keyed.address, "IssueRtcToken", [(b"authorization", good)])
    assert (keyed.log[-1]["reason"], keyed.log[-1]["caller"]) == ("INVALID_REQUEST", "lessons")


@pytest.mark.parametrize("size", [17_000, 1_000_000])
async def test_a_key_of_a_megabyte_is_refused_by_grpc_itself(keyed: Running, size: int) -> None:
    refusal = await refused(keyed.stub.IssueRtcToken(VALID, metadata=bearer("k" * size)))
    assert refusal.code in {StatusCode.RESOURCE_EXHAUSTED, StatusCode.UNAVAILABLE}
    assert "k" * 100 not in refusal.message
    # grpc fails the call, and shows its handler no metadata.
    assert [line["reason"] for line in keyed.log] in ([], ["CREDENTIAL_MISSING"])
    assert await who(keyed, bearer(KEY))


async def test_metadata_that_grpc_drops_makes_nobody_local() -> None:
    async with running() as server:
        refusal = await refused(server.stub.IssueRtcToken(VALID, metadata=bearer("k" * 17_000)))
        assert refusal.code in {StatusCode.RESOURCE_EXHAUSTED, StatusCode.UNAVAILABLE}
        assert "issued" not in [line["event"] for line in server.log]


async def test_thousands_of_headers_are_refused_by_grpc_itself(keyed: Running) -> None:
    bomb = tuple((f"x-{number}", "v" * 100) for number in range(1000))
    call = keyed.stub.IssueRtcToken(VALID, metadata=(*bearer(KEY), *bomb))
    assert (await refused(call)).code in {StatusCode.RESOURCE_EXHAUSTED, StatusCode.UNAVAILABLE}
    assert await who(keyed, bearer(KEY))


def verifier(source: KeySource, **policy: Any) -> JwtVerifier:
    return JwtVerifier(
        JwtPolicy(**{"issuer": ISSUER, "audience": AUDIENCE, "leeway_seconds": 5, **policy}), source
    )


def fixed(*signers: Signer) -> FixedKeys:
    return FixedKeys(parse(key_set(*signers)).keys)


@pytest.fixture
async def jwts() -> AsyncGenerator[Running]:
    """A server that takes JWTs of every algorithm."""
    async with running(who=CALLERS, jwt=verifier(fixed(*SIGNERS.values()))) as server:
        yield server


@pytest.mark.parametrize("algorithm", SIGNERS)
async def test_a_service_account_of_kubernetes_is_its_caller(jwts: Running, algorithm: str) -> None:
    token = SIGNERS[algorithm].sign()
    # Once checked, and once remembered.
    for _ in range(2):
        assert await who(jwts, bearer(token)) == f"lessons by {IDENTITY}"
    assert await who(jwts, bearer(SIGNERS[algorithm].sign(headers={}))) == f"lessons by {IDENTITY}"
    assert token not in jwts.output.getvalue()


def encoded(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unsigned(header: Any, claims: Any = None, signature: bytes = b"") -> str:
    """A JWT written by hand."""
    return f"{encoded(header)}.{encoded(claims or claims_with())}.{encoded(signature)}"


def hmac_signed(signer: Signer, secret: bytes) -> str:
    """A JWT whose "shared secret" is what everyone knows."""
    text = f"{encoded({'alg': 'HS256', 'kid': signer.kid})}.{encoded(claims_with())}"
    return f"{text}.{encoded(hmac.digest(secret, text.encode(), 'sha256'))}"


def tampered(token: str) -> str:
    head, _, signature = token.split(".")
    return f"{head}.{encoded(claims_with(sub='system:serviceaccount:prod:admin'))}.{signature}"


NOW = int(time.time())
STRANGER = Signer("ES256", "ES256")
ATTACKS: Mapping[str, tuple[str, str]] = {
    "alg none": (unsigned({"alg": "none"}), "an algorithm that is not accepted"),
    "alg None": (unsigned({"alg": "None"}), "an algorithm that is not accepted"),
    "no alg": (unsigned({"typ": "JWT"}), "an algorithm that is not accepted"),
    "a list of algs": (unsigned({"alg": ["ES256"]}), "an algorithm that is not accepted"),
    "HS256 by the public PEM": (
        hmac_signed(SIGNERS["RS256"], SIGNERS["RS256"].public_pem),
        "an algorithm that is not accepted",
    ),
    "HS256 by the public PEM, stripped": (
        hmac_signed(SIGNERS["RS256"], SIGNERS["RS256"].public_pem.strip()),
        "an algorithm that is not accepted",
    ),
    "no signature": (unsigned({"alg": "ES256", "kid": "ES256"}), "InvalidSignatureError"),
    "a signature of zeros": (
        unsigned({"alg": "ES256", "kid": "ES256"}, signature=bytes(64)),
        "InvalidSignatureError",
    ),
    "another's key of the same kid": (STRANGER.sign(), "InvalidSignatureError"),
    "its own key in the header": (
        STRANGER.sign({"kid": "ES256", "jwk": STRANGER.jwk}),
        "InvalidSignatureError",
    ),
    "a key's URL in the header": (
        STRANGER.sign({"kid": "ES256", "jku": "http://127.0.0.1:9/", "x5u": "http://127.0.0.1:9/"}),
        "InvalidSignatureError",
    ),
    "other claims": (tampered(SIGNER.sign()), "InvalidSignatureError"),
    "the key of another algorithm": (
        unsigned({"alg": "RS256", "kid": "ES256"}, signature=bytes(256)),
        "no key of the key set has its kid and algorithm",
    ),
    "an unknown kid": (SIGNER.sign({"kid": "gone"}), "no key of the key set has its kid"),
    "a kid that leads away": (SIGNER.sign({"kid": "../../etc/passwd"}), "no key of the key set"),
    "a kid that is a number": (unsigned({"alg": "ES256", "kid": 7}), "jwt: "),
    "an unknown critical header": (
        SIGNER.sign({"kid": "ES256", "crit": ["evil"], "evil": 1}),
        "jwt: ",
    ),
    "another issuer": (SIGNER.sign(iss="https://evil.example"), "InvalidIssuerError"),
    "an issuer with more": (SIGNER.sign(iss=ISSUER + "/"), "InvalidIssuerError"),
    "no issuer": (SIGNER.sign(iss=None), "MissingRequiredClaimError"),
    "another audience": (SIGNER.sign(aud=["billing"]), "InvalidAudienceError"),
    "no audience": (SIGNER.sign(aud=None), "MissingRequiredClaimError"),
    "an audience in a list in a list": (SIGNER.sign(aud=[[AUDIENCE]]), "InvalidAudienceError"),
    "no expiry": (SIGNER.sign(exp=None), "MissingRequiredClaimError"),
    "an expiry in words": (SIGNER.sign(exp="never"), "DecodeError"),
    # A DecodeError, and in PyJWT 2.12 an OverflowError.
    "an expiry beyond all numbers": (SIGNER.sign(exp=float("inf")), "jwt: "),
    "not yet valid": (SIGNER.sign(nbf=NOW + 86_000), "ImmatureSignatureError"),
    "another subject": (SIGNER.sign(sub=f"{SUBJECT}x"), f"no caller has the identity {IDENTITY}x"),
    "a subject in another case": (SIGNER.sign(sub=SUBJECT.upper()), "no caller has the identity"),
    "a subject that is a list": (SIGNER.sign(sub=[SUBJECT]), "InvalidSubjectError"),
    "no subject": (SIGNER.sign(sub=None), "no caller has the identity"),
    "a subject like an Agora token": (
        SIGNER.sign(sub="007eJxTYPj4/8f/"),
        "(token ",
    ),
    "no JSON": (f"{encoded(b'{')}.e30.", "jwt: "),
    "a list for a header": (f"{encoded([])}.e30.", "jwt: "),
    "deep JSON": (f"{encoded(b'[' * 6000)}.e30.", "jwt: "),
    "empty parts": ("..", "jwt: "),
    "no base64": ("\u002a.!.?", "jwt: "),
}


@pytest.mark.parametrize("attack", ATTACKS)
async def test_a_forged_jwt_is_refused_in_the_same_words(jwts: Running, attack: str) -> None:
    token, expected = ATTACKS[attack]
    refusal = await refused(
        jwts.stub.IssueRtcToken(VALID, metadata=(("authorization", WRONG["unknown"]),))
    )
    told = await refused(jwts.stub.IssueRtcToken(VALID, metadata=bearer(token)))
    assert (told.reason, told.message, told.metadata) == (
        "CREDENTIAL_INVALID",
        refusal.message,
        refusal.metadata,
    )
    line = jwts.log[-1]
    assert expected
    assert expected in line["detail"]
    assert token not in jwts.output.getvalue()


async def test_an_expiry_that_is_text_is_refused_alike_from_memory(jwts: Running) -> None:
    token = SIGNER.sign(exp=str(NOW + 86_400))
    # PyJWT takes it. What is remembered of it must not be a defect the second time.
    assert await who(jwts, bearer(token)) == await who(jwts, bearer(token))


async def test_an_expired_jwt_is_named_so_only_if_its_signature_is_valid(jwts: Running) -> None:
    token = SIGNER.sign(exp=NOW - 60)
    await detail(jwts, bearer(token), "CREDENTIAL_EXPIRED")
    await detail(jwts, bearer(STRANGER.sign(exp=NOW - 60)))


async def test_the_leeway_covers_clocks_that_differ(jwts: Running) -> None:
    now = int(time.time())
    assert await who(jwts, bearer(SIGNER.sign(exp=now - 3)))
    assert await who(jwts, bearer(SIGNER.sign(nbf=now + 3)))


async def test_a_remembered_jwt_expires_too() -> None:
    clock = [time.time()]
    jwt = JwtVerifier(JwtPolicy(ISSUER, AUDIENCE, 5), fixed(SIGNER), lambda: clock[0])
    async with running(who=CALLERS, jwt=jwt) as server:
        token = SIGNER.sign(exp=int(time.time()) + 600)
        await who(server, bearer(token))
        clock[0] += 604
        await who(server, bearer(token))
        clock[0] += 2
        await detail(server, bearer(token), "CREDENTIAL_EXPIRED")


async def test_a_jwt_of_two_callers_is_refused() -> None:
    """Which one it is, and what it may have, would hang on the order of things."""
    both = granting.callers(
        granting.caller(granting.grant(), name="one", identities=[IDENTITY]),
        granting.caller(granting.grant(), name="two", identities=[f"jwt:iss={ISSUER}"]),
    )
    async with running(who=both, jwt=verifier(fixed(SIGNER))) as server:
        assert "several callers" in await detail(server, bearer(SIGNER.sign()))


class Provider:
    """A server that takes the JWTs of a provider whose keys are at a URL."""

    def __init__(self, server: Running, keys: KeyServer, failures: list[str]) -> None:
        self.server = server
        self.keys = keys
        self.failures = failures
        self.now = 0.0


@asynccontextmanager
async def provider(*signers: Signer) -> AsyncGenerator[Provider]:
    with key_server(*signers) as keys:
        failures: list[str] = []
        source = RemoteKeys(
            Location(keys.url), failures.append, failures.clear, clock=lambda: made.now
        )
        async with running(who=CALLERS, jwt=verifier(source)) as server:
            made = Provider(server, keys, failures)
            yield made


async def test_made_up_kids_do_not_hammer_the_provider() -> None:
    async with provider(SIGNER) as one:
        for number in range(100):
            await detail(one.server, bearer(SIGNER.sign({"kid": f"made-up-{number}"})))
        assert len(one.keys.requests) == 1
        one.now += 10
        for number in range(100):
            await detail(one.server, bearer(SIGNER.sign({"kid": f"made-up-{number}"})))
        assert len(one.keys.requests) == 2
        # Nor do they keep the good ones out.
        assert await who(one.server, bearer(SIGNER.sign()))


async def test_what_is_no_jwt_asks_the_provider_at_most_once() -> None:
    async with provider(SIGNER) as one:
        for attack in ("alg none", "HS256 by the public PEM", "deep JSON", "no JSON"):
            await detail(one.server, bearer(ATTACKS[attack][0]))
        assert len(one.keys.requests) <= 1


async def test_a_key_that_the_provider_adds_is_taken_and_one_it_drops_is_not() -> None:
    new = Signer("RS256", "new")
    async with provider(SIGNER) as one:
        old = SIGNER.sign()
        assert await who(one.server, bearer(old))
        one.keys.body = key_set(SIGNER, new)
        one.now += 10
        assert await who(one.server, bearer(new.sign()))
        # It is remembered; all the same it ends with its key.
        assert await who(one.server, bearer(old))
        one.keys.body = key_set(new)
        one.now += 10
        await detail(one.server, bearer(SIGNER.sign({"kid": "made-up"})))
        assert "no key of the key set" in await detail(one.server, bearer(old))


async def is_refused(server: Running, token: str) -> bool:
    """Whether no key that the server knows has signed a token."""
    try:
        await server.stub.IssueRtcToken(VALID, metadata=bearer(token))
    except aio.AioRpcError as error:
        return "no key of the key set" in server.log[-1]["detail"] and (
            error.code() is StatusCode.UNAUTHENTICATED
        )
    return False


async def test_a_withdrawn_key_is_refused_once_the_keys_are_refreshed() -> None:
    kept = Signer("ES256", "kept")
    async with provider(SIGNER, kept) as one:
        # Remembered or not, and no JWT names a key id that is unknown.
        old, other = SIGNER.sign(), SIGNER.sign(jti="2")
        assert not await is_refused(one.server, old)
        one.keys.body = key_set(kept)
        one.now += REFRESH_SECONDS
        assert not await is_refused(one.server, old)
        assert len(one.keys.requests) == 1
        one.now += 1
        assert not await is_refused(one.server, old)
        await until_await(lambda: is_refused(one.server, old))
        assert await is_refused(one.server, other)
        assert len(one.keys.requests) == 2
        assert await who(one.server, bearer(kept.sign()))


async def test_a_withdrawn_key_is_refused_at_once_after_an_idle_time() -> None:
    async with provider(SIGNER) as one:
        old = SIGNER.sign()
        assert not await is_refused(one.server, old)
        one.keys.body = key_set(Signer("ES256", "new"))
        one.now += MAX_AGE_SECONDS + 1
        assert await is_refused(one.server, old)
        assert len(one.keys.requests) == 2


async def test_no_call_waits_for_a_slow_provider_while_there_are_keys() -> None:
    over = threading.Event()

    def hang(_: object) -> None:
        over.wait(10)

    async with provider(SIGNER) as one:
        assert await who(one.server, bearer(SIGNER.sign()))
        one.keys.answer = hang
        one.now += REFRESH_SECONDS + 1
        for number in range(10):
            assert await who(one.server, bearer(SIGNER.sign(jti=str(number))))
        await until(lambda: len(one.keys.requests) == 2)
        # The fetch is still in flight: it has neither succeeded nor failed.
        assert not one.failures
        over.set()


async def test_a_provider_that_is_down_at_first_is_logged_and_retried() -> None:
    async with provider(SIGNER) as one:
        one.keys.answer = lambda handler: send(handler, b"", 503)
        call = one.server.stub.IssueRtcToken(VALID, metadata=bearer(SIGNER.sign()))
        refusal = await refused(call)
        assert (refusal.code, refusal.reason) == (
            StatusCode.UNAVAILABLE,
            "CREDENTIAL_UNVERIFIABLE",
        )
        assert refusal.details["RetryInfo"].retry_delay.seconds == 5
        assert one.failures == [f"{one.keys.url}: cannot be fetched: HTTP status 503"]
        # Nobody else is held up.
        assert await who(one.server, bearer(KEY))
        one.keys.answer = None
        one.now += 10
        assert await who(one.server, bearer(SIGNER.sign()))
        assert not one.failures


async def test_a_provider_that_goes_down_later_leaves_its_keys_in_use() -> None:
    async with provider(SIGNER) as one:
        assert await who(one.server, bearer(SIGNER.sign()))
        one.keys.answer = lambda handler: send(handler, b"x" * 10_000_000)
        one.now += 1000
        await detail(one.server, bearer(SIGNER.sign({"kid": "made-up"})))
        assert one.failures
        assert await who(one.server, bearer(SIGNER.sign()))


LOOK_ALIKES = (SUBJECT.replace("o", "\u043e"), f"{SUBJECT} ", f"{SUBJECT}\0", "*")


@pytest.mark.parametrize("subject", LOOK_ALIKES, ids=ascii)
async def test_a_subject_that_looks_like_another_is_another(jwts: Running, subject: str) -> None:
    assert "no caller has" in await detail(jwts, bearer(SIGNER.sign(sub=subject)))
