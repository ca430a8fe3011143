"""Secrets of every kind are planted, everything is provoked, and all output is searched."""

import base64
from pathlib import Path
from typing import Any, Final

import trustme

from rpc.test_credentials import connected
from support import granting
from support.certificates import write_tls
from support.jwks import AUDIENCE, IDENTITY, ISSUER, Signer, key_server
from support.live import AUDIT, BEARER, LOG, PROJECT, SERVER, Live, caller, live
from support.redis import redis_server
from support.serving import Refused, refused
from support.waiting import until
from token_authority.v1 import authority_pb2, inspection_pb2
from token_authority.v1.authority_service_pb2_grpc import AuthorityServiceStub
from token_authority.v1.inspection_service_pb2_grpc import InspectionServiceStub
from token_authority.v1.rtc_pb2 import RTC_ROLE_PUBLISHER, IssueRtcTokenRequest
from token_authority.v1.token_service_pb2_grpc import TokenServiceStub
from token_authority.v1.whiteboard_pb2 import (
    WHITEBOARD_ROLE_ADMIN,
    IssueWhiteboardTokenRequest,
    WhiteboardSdkScope,
)

CA: Final = trustme.CA()
CERTIFICATE: Final = "c0ffee00c0ffee00c0ffee00c0ffee00"
SK: Final = "planted-whiteboard-SK"
REDIS: Final = "planted-redis-password"
JWKS_BEARER: Final = "planted-jwks-bearer"
SIGNER: Final = Signer("ES256")
RTC: Final = IssueRtcTokenRequest(channel_name="c", uid=1, role=RTC_ROLE_PUBLISHER)
WHITEBOARD: Final = IssueWhiteboardTokenRequest(
    sdk=WhiteboardSdkScope(), role=WHITEBOARD_ROLE_ADMIN
)
TEXT: Final = (
    SERVER
    + AUDIT.replace('file = "audit.jsonl"', 'file = "audit.jsonl"\nstdout = true')
    + '[server.tls]\ncertificate = "tls.pem"\nprivate_key = "tls.key"\n'
    + '[limits]\nredis = { file = "redis" }\n'
    + f'[authentication.jwt]\nissuer = "{ISSUER}"\naudience = "{AUDIENCE}"\njwks = "URL"\n'
    + 'jwks_token_file = "jwks-token"\n'
    + PROJECT
    + """
[[projects.classroom.whiteboard.access_keys]]
id = "ak"
access_key = "ak"
secret = { file = "sk" }
state = "active"
"""
    + caller(IDENTITY, "jwt")
    + caller(granting.API_KEY_IDENTITY, more='rate_limit = "3/hour"')
    + 'max_ttl = "1h"\n'
).replace('tokens = ["rtc"]', 'tokens = ["rtc", "whiteboard.sdk"]')


def variants(secret: str) -> set[str]:
    """How a secret may show: as it is, encoded, or a good part of it."""
    return {secret, secret[: len(secret) * 3 // 4], base64.b64encode(secret.encode()).decode()}


async def everything(channel: Any, jwt: str) -> list[str]:
    """Calls every method, well and badly; returns what the client was told and the tokens."""
    tokens: Any = TokenServiceStub(channel)
    inspection: Any = InspectionServiceStub(channel)
    authority: Any = AuthorityServiceStub(channel)
    by_jwt = (("authorization", f"Bearer {jwt}"),)
    issued = [
        (await tokens.IssueRtcToken(RTC, metadata=by_jwt)).issued_token.token,
        (await tokens.IssueWhiteboardToken(WHITEBOARD, metadata=BEARER)).issued_token.token,
    ]
    inspect = inspection_pb2.InspectTokenRequest(token=issued[0])
    told = [
        str((await inspection.InspectToken(inspect, metadata=BEARER)).SerializeToString()),
        str(
            await authority.GetAuthorityInfo(
                authority_pb2.GetAuthorityInfoRequest(), metadata=BEARER
            )
        ),
        str(
            await authority.ListSigningKeys(authority_pb2.ListSigningKeysRequest(), metadata=BEARER)
        ),
    ]
    far = IssueRtcTokenRequest(channel_name="c", uid=1, role=RTC_ROLE_PUBLISHER, project="gone")
    bad: list[Refused] = [
        await refused(tokens.IssueRtcToken(RTC)),
        await refused(tokens.IssueRtcToken(RTC, metadata=(("authorization", "Bearer x"),))),
        await refused(tokens.IssueRtcToken(RTC, metadata=(*BEARER, *BEARER))),
        await refused(tokens.IssueRtcToken(RTC, metadata=(("authorization", f"Bearer {jwt}x"),))),
        await refused(tokens.IssueRtcToken(far, metadata=BEARER)),
        await refused(tokens.IssueRtcToken(IssueRtcTokenRequest(), metadata=BEARER)),
        await refused(
            tokens.IssueRtcToken(
                RTC, metadata=(("authorization", f"Bearer {granting.API_KEY[:-1]}"),)
            )
        ),
    ]
    for _ in range(2):
        await tokens.IssueRtcToken(RTC, metadata=BEARER)
    bad.append(await refused(tokens.IssueRtcToken(RTC, metadata=BEARER)))
    told += [f"{refusal.message} {refusal.metadata} {refusal.details}" for refusal in bad]
    return [*told, *issued]


async def spoil(server: Live, path: Path, wrong: str) -> str:
    """Makes a file bad until that is said, and good again; returns what `/health` said."""
    good = path.read_text()
    path.write_text(wrong)
    await until(lambda: is_bad(server))
    said = await server.page("/health")
    path.write_text(good)
    await until(lambda: not is_bad(server))
    return said


def is_bad(server: Live) -> bool:
    """Whether the configuration is."""
    said = [line for line in server.log if line.get("component") == "configuration"]
    return bool(said) and said[-1]["event"] == "degraded"


async def test_no_secret_shows_in_any_output_of_a_whole_run(tmp_path: Path) -> None:
    write_tls(tmp_path, CA)
    tls_key = (tmp_path / "tls.key").read_text()
    (tmp_path / "jwks-token").write_text(JWKS_BEARER)
    jwt = SIGNER.sign()
    async with redis_server(REDIS) as redis:
        (tmp_path / "redis").write_text(redis.url)
        with key_server(SIGNER) as keys:
            text = TEXT.replace("URL", keys.url)
            text = text.replace('file = "cert"', 'file = "planted"')
            text = text.replace('file = "sk"', 'file = "planted-sk"')
            (tmp_path / "planted").write_text(CERTIFICATE)
            (tmp_path / "planted-sk").write_text(SK)
            async with (
                live(tmp_path, text) as server,
                connected(trusts=CA)(server.address) as channel,
            ):
                *told, rtc, whiteboard = await everything(channel, jwt)
                # Now Redis goes away, and the file of every secret goes bad.
                await redis.kill()
                await TokenServiceStub(channel).IssueRtcToken(RTC, metadata=BEARER)
                told.append(await server.page("/health"))
                for name, wrong in (
                    ("planted", f"{CERTIFICATE}f"),
                    ("planted-sk", f"{SK} {SK}"),
                    ("tls.key", tls_key[:200]),
                    ("redis", f"{redis.url}/{REDIS}"),
                    (
                        "token-authority.toml",
                        text.replace('{ file = "planted" }', f'"{CERTIFICATE}"') + LOG,
                    ),
                ):
                    told.append(await spoil(server, tmp_path / name, wrong))
                told.append(await server.page("/metrics"))
    text = "\n".join((*told, server.output, server.stdout, (tmp_path / "audit.jsonl").read_text()))
    assert len(server.stdout.splitlines()) > 5
    assert any("Redis at 127.0.0.1" in said for said in told)
    assert sum("not reloaded" in said for said in told) == 5
    key_body = "".join(tls_key.splitlines()[1:3])
    for secret in (CERTIFICATE, SK, REDIS, JWKS_BEARER, granting.API_KEY, key_body, jwt):
        assert not [shown for shown in variants(secret) if shown in text]
    assert rtc not in text
    assert whiteboard not in text
    # What can be searched for can be found.
    assert "cert-1" in text
