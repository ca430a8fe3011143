"""gRPC's own options: what the transport admits before any handler runs."""

import resource
from typing import Final

from token_authority_server.rpc.request_body import READ_MARGIN_BYTES

MAX_STREAMS_PER_CONNECTION: Final = 100
"""Requests that one connection may have open: what HTTP/2 recommends at least (RFC 9113, 6.5.2).
gRPC clients queue further calls, proxies open further connections."""
HANDSHAKE_SECONDS: Final = 10
"""How long a connection may take until TLS and HTTP/2 are set up."""
IDLE_SECONDS: Final = 300
"""How long a connection without a call is kept. A client reconnects with its next call."""
_RESERVED_FILES: Final = 64
"""File descriptors that connections leave to everything else: configuration, audit trail, keys."""

_PENDING_REQUESTS: Final = 2_200
"""The open calls of 20 connections (2000), and 200 more for the callers' connections."""
_READ_CHUNK_BYTES: Final = 65_536
"""How much to read from a connection at once: as much as flow control allows in flight."""

_OPTIONS: Final = (
    # Calls that wait to be begun, each some 20 KB, among them those that a client has cancelled.
    # Beyond the first number grpc cancels some of them at random, beyond the second all.
    ("grpc.server.max_pending_requests", _PENDING_REQUESTS),
    ("grpc.server.max_pending_requests_hard_limit", _PENDING_REQUESTS + 400),
    # A JWT may be large. Between its two limits, 8 and 16 KiB by default, grpc refuses by chance.
    ("grpc.max_metadata_size", 16_384),
    ("grpc.absolute_max_metadata_size", 16_384),
    # Clients may ping every 30 s to keep idle connections open through proxies; the default allows
    # one ping in 5 minutes and then closes the connection.
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 20_000),
    # So that connections even out over replicas as these come and go.
    ("grpc.max_connection_age_ms", 1_800_000),
    ("grpc.max_connection_age_grace_ms", 60_000),
    ("grpc.max_connection_idle_ms", IDLE_SECONDS * 1000),
    ("grpc.server_handshake_timeout_ms", HANDSHAKE_SECONDS * 1000),
    ("grpc.http2.settings_timeout", HANDSHAKE_SECONDS * 1000),
    ("grpc.max_concurrent_streams", MAX_STREAMS_PER_CONNECTION),
    # Refuses requests of a client that begins and cancels them faster than they are freed. A client
    # that keeps as many open as it may has some that have ended and are not freed yet.
    ("grpc.http.overload_protection", 1),
    ("grpc.http2.max_deallocating_streams", 2 * MAX_STREAMS_PER_CONNECTION),
    # `rpc.request_body` decompresses: with a bound, and after authentication.
    ("grpc.per_message_decompression", 0),
    # Else a connection that is written to quickly gets a buffer of megabytes.
    ("grpc.experimental.tcp_max_read_chunk_size", _READ_CHUNK_BYTES),
    # Else flow-control windows grow with the connection's speed, up to megabytes of bodies that no
    # handler has requested. Fixed ones allow 64 KiB in flight for each connection.
    ("grpc.http2.bdp_probe", 0),
)


def transport_options(
    max_request_bytes: int, listeners: int, *, reuse_port: bool
) -> tuple[tuple[str, int], ...]:
    """Returns the options of a server.

    Args:
        max_request_bytes: The largest request that handlers accept.
        listeners: How many addresses it listens on. They share the file descriptors of the process.
        reuse_port: Whether other instances may listen on its ports too (SO_REUSEPORT).
    """
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    max_connections = max(1, (files - _RESERVED_FILES) // max(1, listeners))
    return (
        *_OPTIONS,
        # On by default: a second server on the port would start silently and take half the calls.
        ("grpc.so_reuseport", int(reuse_port)),
        ("grpc.max_receive_message_length", max_request_bytes + READ_MARGIN_BYTES),
        ("grpc.max_allowed_incoming_connections", min(max_connections, 2**31 - 1)),
    )
