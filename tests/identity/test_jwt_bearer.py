import pytest

from support.jwks import AUDIENCE, ISSUER, Signer, key_set
from token_authority_server.identity import jwt_bearer
from token_authority_server.identity.jwks import parse
from token_authority_server.identity.jwt_bearer import JwtPolicy, JwtVerifier
from token_authority_server.identity.key_sources import FixedKeys


async def test_remembered_jwts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert jwt_bearer.MAX_REMEMBERED == 4096
    monkeypatch.setattr(jwt_bearer, "MAX_REMEMBERED", 64)
    signer = Signer("EdDSA")
    source = FixedKeys(parse(key_set(signer)).keys)
    verifier = JwtVerifier(JwtPolicy(ISSUER, AUDIENCE, 0), source)
    most = 0
    first = signer.sign(jti="first")
    await verifier.claims(first)
    for number in range(200):
        assert (await verifier.claims(signer.sign(jti=str(number))))["jti"] == str(number)
        most = max(most, len(verifier._remembered))
    assert most == 64
    # A token that is no longer remembered is verified again.
    assert (await verifier.claims(first))["jti"] == "first"
