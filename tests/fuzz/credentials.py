"""Targets before authentication: metadata, API keys, JWTs, key sets and client certificates."""

import asyncio
import json
from functools import partial
from typing import Any, Final

import jwt
import trustme

from fuzz.mutating import Chance, mutated
from fuzz.outcomes import Target, check_shown, refused
from support.granting import API_KEY, API_KEY_IDENTITY, caller, callers, grant
from support.jwks import AUDIENCE, IDENTITY, ISSUER, SUBJECT, Signer, claims_with, key_set
from token_authority_server.errors import Refusal
from token_authority_server.identity.client_certificate import client_certificate
from token_authority_server.identity.jwks import ALGORITHMS, parse
from token_authority_server.identity.jwks_fetch import JwksError
from token_authority_server.identity.jwt_bearer import JwtPolicy, JwtVerifier
from token_authority_server.identity.key_sources import FixedKeys
from token_authority_server.rpc.authentication import Authenticator, presented_credentials

_SIGNERS: Final = [Signer(algorithm, algorithm) for algorithm in ALGORITHMS]
_KEY_SET: Final = key_set(*_SIGNERS)
_JWTS: Final = [signer.sign() for signer in _SIGNERS]
_SIGNED: Final = {jwt.rpartition(".")[0] for jwt in _JWTS}
_AUTHENTICATOR: Final = Authenticator(
    callers(caller(grant(), identities=[API_KEY_IDENTITY, IDENTITY])),
    JwtVerifier(JwtPolicy(ISSUER, AUDIENCE, 0), FixedKeys(parse(_KEY_SET).keys)),
)
_LOOP: Final = asyncio.new_event_loop()


class _Context:
    """What authentication reads of a call."""

    def __init__(self, metadata: list[tuple[str, str | bytes]]) -> None:
        self._metadata = metadata

    def invocation_metadata(self) -> list[tuple[str, str | bytes]]:
        return self._metadata

    def auth_context(self) -> dict[str, Any]:
        return {}


def targets() -> list[Target]:
    """Returns the targets."""
    bearers = [f"Bearer {text}".encode() for text in (API_KEY, *_JWTS)]
    headers = [
        b"\n".join([b"authorization:" + bearer, b"x-request-id:req-1", b"grpc-trace-bin:\0\1"])
        for bearer in bearers
    ]
    ca = trustme.CA()
    certificates = [
        ca.issue_cert(*names).cert_chain_pems[0].bytes()
        for names in (("lessons.internal",), ("a.example.org", "10.0.0.1"))
    ]
    sets = [_KEY_SET, *[key_set(signer) for signer in _SIGNERS]]
    return [
        Target("metadata", partial(mutated, headers), _authenticate, 60),
        Target("API key or JWT", partial(mutated, bearers), _bear, 130),
        Target("JWT of a valid signature", _odd_jwt, _bear, 40),
        Target("key set", partial(mutated, sets), _read_key_set, 60),
        Target("client certificate", partial(mutated, certificates), _read_certificate, 60),
    ]


def _odd_jwt(chance: Chance) -> bytes:
    """A JWT whose header and claims were changed before it was signed."""
    claims: dict[str, Any] = claims_with()
    for name in (*claims, "jti", "crit"):
        if chance.random() < 0.15:
            claims[name] = chance.choice((None, 0, -1, 1e300, True, "", "a", [], ["a"], {}, 10**99))
    headers: dict[str, Any] = {"kid": chance.choice(("ES256", "ES256", "RS256", "\0", "x" * 3000))}
    if chance.random() < 0.2:
        headers[chance.choice(("jku", "jwk", "x5u", "typ", "cty", "zip"))] = chance.choice(("x", 1))
    signed = jwt.PyJWS().encode(
        json.dumps(claims).encode(), _SIGNERS[6].private, _SIGNERS[6].algorithm, headers
    )
    return b"Bearer " + signed.encode()


def _authenticate(data: bytes) -> str:
    metadata: list[tuple[str, str | bytes]] = []
    for line in data.split(b"\n"):
        name, _, value = line.partition(b":")
        key = name.decode("latin-1").lower()
        metadata.append((key, value if key.endswith("-bin") else value.decode("latin-1")))
    return _outcome(metadata)


def _bear(data: bytes) -> str:
    return _outcome([("authorization", data.decode("latin-1"))])


def _outcome(metadata: list[tuple[str, str | bytes]]) -> str:
    presented = presented_credentials(_Context(metadata))  # type: ignore[arg-type]
    try:
        authenticated = _LOOP.run_until_complete(_AUTHENTICATOR.authenticate(presented))
    except Refusal as refusal:
        return refused(refusal)
    # Only an issued credential authenticates: the API key, or a JWT that a key has signed.
    bearer = presented.authorization("bearer ") or ""
    assert bearer == API_KEY or bearer.rpartition(".")[0] in _SIGNED or _is_permitted(bearer)
    check_shown(f"{authenticated.identity} {presented.request_id}")
    return "authenticated"


def _is_permitted(bearer: str) -> bool:
    """Whether one of our keys has signed the required claims, by PyJWT alone."""
    key = _SIGNERS[6].private.public_key()
    claims = jwt.decode(bearer, key, ["ES256"], audience=AUDIENCE, issuer=ISSUER)
    return bool(claims["sub"] == SUBJECT and claims["exp"])


def _read_key_set(data: bytes) -> str:
    try:
        found = parse(data)
    except JwksError as error:
        check_shown(str(error))
        return "refused"
    check_shown("".join(found.skipped), 200_000)
    return "read"


def _read_certificate(data: bytes) -> str:
    try:
        client_certificate(data)
    except Refusal as refusal:
        return refused(refusal)
    return "read"
