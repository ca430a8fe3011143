"""The server under attack, and the methods that attacks call."""

import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from attack.wire import Header
from token_authority.v1.rtc_pb2 import RTC_ROLE_PUBLISHER, IssueRtcTokenRequest

ISSUE: Final = "/token_authority.v1.TokenService/IssueRtcToken"
INSPECT: Final = "/token_authority.v1.InspectionService/InspectToken"
CHECK: Final = "/grpc.health.v1.Health/Check"
WATCH: Final = "/grpc.health.v1.Health/Watch"
REFLECTION: Final = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
UNKNOWN: Final = "/token_authority.v1.TokenService/MintAnything"
EVERY_PATH: Final = (ISSUE, INSPECT, CHECK, WATCH, REFLECTION, UNKNOWN)
VALID: Final = IssueRtcTokenRequest(channel_name="c", uid=1, role=RTC_ROLE_PUBLISHER)


@dataclass(frozen=True)
class Target:
    """The server under attack, as JSON carries it."""

    address: str
    mtls_address: str
    ca: str
    key: str
    """The attacker's own API key, for attacks with a credential."""

    @property
    def tls(self) -> ssl.SSLContext:
        """How to connect."""
        context = ssl.create_default_context(cafile=self.ca)
        context.set_alpn_protocols(["h2"])
        return context

    @property
    def bearer(self) -> Header:
        """The attacker's own credential."""
        return b"authorization", f"Bearer {self.key}".encode()


Holding = Sequence[Any]
Attack = Callable[[Target], Awaitable[Holding]]
