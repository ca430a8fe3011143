"""A server with every option that has a metric: TLS, mTLS, JWT, Redis, audit trail, API keys."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import grpc
from grpc import aio

from support import granting, jwks
from support.certificates import write_tls
from support.live import BEARER, PROJECT, SERVER, Live, caller, live
from support.serving import refused
from token_authority.v1 import batch_pb2
from token_authority.v1.rtc_pb2 import RTC_ROLE_PUBLISHER, IssueRtcTokenRequest
from token_authority.v1.token_service_pb2_grpc import TokenServiceStub

RTC: Final = IssueRtcTokenRequest(channel_name="c", uid=1, role=RTC_ROLE_PUBLISHER)
STRANGER: Final = IssueRtcTokenRequest()
UNGRANTED: Final = IssueRtcTokenRequest(
    project="unknown", channel_name="c", uid=1, role=RTC_ROLE_PUBLISHER
)


def configuration(jwks_url: str, *, rate_limit: str = "10000/second") -> str:
    """Returns the configuration; the file `redis` has the URL of a Redis."""
    expires = (datetime.now(UTC) + timedelta(days=30)).isoformat(timespec="seconds")
    key = f'{{ api_key = "{granting.API_KEY_IDENTITY[8:]}", name = "ci", expires = {expires} }}'
    by_key = caller("KEY", more=f'rate_limit = "{rate_limit}"').replace('"KEY"', key)
    return f"""
{SERVER}
mtls_listen = ["127.0.0.1:0"]
[server.tls]
certificate = "tls.pem"
private_key = "tls.key"
client_ca = "ca.pem"
[limits]
redis = {{ file = "redis" }}
[audit]
file = "audit.jsonl"
[authentication.jwt]
issuer = "{jwks.ISSUER}"
audience = "{jwks.AUDIENCE}"
jwks = "{jwks_url}"
{PROJECT}
{by_key}
{caller(jwks.IDENTITY, "lessons")}
"""


@asynccontextmanager
async def monitored(
    folder: Path, redis_url: str, provider: jwks.KeyServer, **settings: str
) -> AsyncGenerator[tuple[Live, Any]]:
    """Serves the configuration; yields the server and a stub for an authenticated channel."""
    (folder / "redis").write_text(redis_url)
    ca = write_tls(folder)
    (folder / "ca.pem").write_bytes(ca)
    credentials = grpc.ssl_channel_credentials(ca)
    async with (
        live(folder, configuration(provider.url, **settings)) as server,
        aio.secure_channel(f"localhost:{port_of(server)}", credentials) as channel,
    ):
        yield server, TokenServiceStub(channel)


def port_of(server: Live) -> str:
    """Returns the port of the first listener."""
    return server.address.rpartition(":")[2]


async def call_each_way(stub: Any, signer: jwks.Signer) -> None:
    """Makes calls of every outcome: a token, a batch, by JWT, refused, by a stranger."""
    await stub.IssueRtcToken(RTC, metadata=BEARER)
    entry = batch_pb2.IssueTokenRequest(rtc=RTC)
    batch = batch_pb2.BatchIssueTokensRequest(requests=[entry] * 3)
    await stub.BatchIssueTokens(batch, metadata=BEARER)
    await stub.IssueRtcToken(RTC, metadata=(("authorization", f"Bearer {signer.sign()}"),))
    await refused(stub.IssueRtcToken(UNGRANTED, metadata=BEARER))
    await refused(stub.IssueRtcToken(STRANGER))
