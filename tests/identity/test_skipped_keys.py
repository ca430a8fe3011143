"""Keys of a key set that cannot be used, as operators see them: log, metric and check-config."""

import json
from pathlib import Path
from typing import Final

from grpc import aio

from support.commands import run
from support.jwks import AUDIENCE, IDENTITY, ISSUER, Signer, key_server
from support.live import PROJECT, SERVER, Live, caller, live
from support.serving import write_config
from support.waiting import until
from token_authority.v1.rtc_pb2 import RTC_ROLE_PUBLISHER, IssueRtcTokenRequest
from token_authority.v1.token_service_pb2_grpc import TokenServiceStub

SIGNER: Final = Signer("ES256")
JWT: Final = f'[authentication.jwt]\nissuer = "{ISSUER}"\naudience = "{AUDIENCE}"\n'
ODD: Final = [{**SIGNER.jwk, "kid": "odd", "alg": "none"}, {"kty": "AKP"}]
SENTENCES: Final = [
    'key 2 (kid "odd"): its alg "none" is not accepted (accepted: RS256, RS384, RS512, PS256, '
    "PS384, PS512, ES256, ES384, ES512, EdDSA)",
    'key 3: its kty "AKP" is not RSA, EC or OKP',
]
METRIC: Final = "token_authority_jwks_keys_skipped"


def text(jwks: str) -> str:
    return SERVER + JWT + f"jwks = {jwks}\n" + PROJECT + caller(IDENTITY)


async def issue(server: Live) -> str:
    """Issues a token to the holder of a JWT."""
    async with aio.insecure_channel(server.address) as channel:
        request = IssueRtcTokenRequest(channel_name="c", uid=1, role=RTC_ROLE_PUBLISHER)
        metadata = (("authorization", f"Bearer {SIGNER.sign()}"),)
        answer = await TokenServiceStub(channel).IssueRtcToken(request, metadata=metadata)
        return answer.issued_token.key_id


async def test_keys_of_a_url_are_skipped_with_a_log_line_and_a_metric(tmp_path: Path) -> None:
    with key_server() as provider:
        provider.body = json.dumps({"keys": [SIGNER.jwk, *ODD]}).encode()
        async with live(tmp_path, text(f'"{provider.url}?key=a-secret"')) as server:
            assert await issue(server) == "cert-1"
            await until(lambda: server.events("jwks keys skipped"))
            (line,) = server.events("jwks keys skipped")
            assert line["level"] == "warning"
            assert (line["url"], line["count"]) == (provider.url, len(ODD))
            assert line["keys"] == SENTENCES
            assert await server.metric(METRIC) == len(ODD)
            assert not server.events("degraded")


async def test_keys_of_a_file_are_skipped_with_a_warning_and_a_metric(tmp_path: Path) -> None:
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [SIGNER.jwk, *ODD]}))
    config = text('{ file = "jwks.json" }')
    async with live(tmp_path, config) as server:
        assert await issue(server) == "cert-1"
        warnings = [line["event"] for line in server.log if line["level"] == "warning"]
        expected = [
            f"authentication.jwt.jwks: {sentence}: the key is skipped" for sentence in SENTENCES
        ]
        assert warnings == expected
        assert await server.metric(METRIC) == len(ODD)
    path = write_config(tmp_path, config)
    ran = await run("check-config", str(path))
    assert ran.code == 0
    assert ran.err.splitlines() == [
        f"token-authority: warning: {path}: {warning}" for warning in expected
    ]
