"""gRPC channels: the methods of the contract, the retry policy and the channel options."""

import json
from collections.abc import Mapping
from typing import Any, Final

from token_authority.v1 import (
    authority_service_pb2,
    encryption_service_pb2,
    inspection_service_pb2,
    token_service_pb2,
)
from token_authority.v1.authority_service_pb2_grpc import AuthorityServiceStub
from token_authority.v1.encryption_service_pb2_grpc import EncryptionServiceStub
from token_authority.v1.inspection_service_pb2_grpc import InspectionServiceStub
from token_authority.v1.token_service_pb2_grpc import TokenServiceStub
from token_authority_client._fork_state import ForkState
from token_authority_client._security import Security, TlsMaterial
from token_authority_client._target import Target
from token_authority_client._version import VERSION

_SERVICES: Final = tuple(
    [
        service
        for module in (
            token_service_pb2,
            inspection_service_pb2,
            authority_service_pb2,
            encryption_service_pb2,
        )
        for service in module.DESCRIPTOR.services_by_name.values()
    ]
)
PATHS: Final[Mapping[str, str]] = {
    method.name: f"/{service.full_name}/{method.name}"
    for service in _SERVICES
    for method in service.methods
}
"""The full path of each method by its name, which is unique among all services."""
HEALTH_PATH: Final = "/grpc.health.v1.Health/Check"

# Every method is idempotent, so a call that never reached a server can be retried. The same as
# client/service_config.json, which other languages' clients read, without healthCheckConfig: with
# it, grpcio 1.83.2 crashed in the tests of servers that do not answer, and calls to a server that
# is not ready would fail without the server's reason.
SERVICE_CONFIG: Final[dict[str, Any]] = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": [{"service": service.full_name} for service in _SERVICES],
            "retryPolicy": {
                # About three seconds in total; `_outage` then waits for a server that restarts.
                "maxAttempts": 5,
                "initialBackoff": "0.1s",
                "maxBackoff": "2s",
                "backoffMultiplier": 3,
                # CANCELLED: a stopping server did not begin the call (grpc/grpc#41785).
                "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
            },
        }
    ],
}
_MIB: Final = 1024 * 1024
_OPTIONS: Final[tuple[tuple[str, Any], ...]] = (
    ("grpc.primary_user_agent", f"token-authority-python/{VERSION}"),
    ("grpc.service_config", json.dumps(SERVICE_CONFIG)),
    # Keepalive pings hold idle connections open through proxies; the server permits one every 20 s.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # gRPC's default, up to two minutes between connection attempts, outlasts the retries of a call.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # Only a request that fits in this buffer can be retried; batches exceed the default of 256 KiB.
    ("grpc.per_rpc_retry_buffer_size", _MIB),
    # A response to a full batch is 0.7 MB today; a newer server may add fields. gRPC's default of
    # 4 MiB would discard tokens that are already signed.
    ("grpc.max_receive_message_length", 16 * _MIB),
)


class Channel:
    """An open channel and its methods. It closes when the last call that references it ends.

    Args:
        module: `grpc` or `grpc.aio`, which open blocking and asyncio channels.
        target: The server.
        security: TLS settings and credential.
    """

    def __init__(self, module: Any, target: Target, security: Security) -> None:
        credentials = security.channel_credentials()
        options = _channel_options(target, security)
        self.material: TlsMaterial | None = security.material
        self.channel: Any = (
            module.insecure_channel(target.for_grpc, options=options)
            if credentials is None
            else module.secure_channel(target.for_grpc, credentials, options=options)
        )
        ForkState.channels.add(self.channel)
        self.methods: Mapping[str, Any] = {
            **vars(TokenServiceStub(self.channel)),
            **vars(InspectionServiceStub(self.channel)),
            **vars(AuthorityServiceStub(self.channel)),
            **vars(EncryptionServiceStub(self.channel)),
        }


def _channel_options(target: Target, security: Security) -> list[tuple[str, Any]]:
    options: list[tuple[str, Any]] = [*_OPTIONS]
    if target.is_local:
        # A proxy named by the environment cannot reach this machine's loopback interface.
        options.append(("grpc.enable_http_proxy", 0))
    if security.server_name is not None:
        options.append(("grpc.ssl_target_name_override", security.server_name))
        options.append(("grpc.default_authority", security.server_name))
    return options
