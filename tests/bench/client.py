"""CPU time of the Python client per call, as a ratio to the generated stub in the same run.

    python tests/bench/client.py

One server process; clients in this process take turns, round by round. The stub's program builds
the request, calls with a deadline and reads the token, as the client's does. Counted is the CPU
time of this process, user and system, its threads included; the server's is not in it.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import grpc
from calls import start_ours  # type: ignore[import-not-found]  # beside this script
from grpc import aio

from token_authority.v1.rtc_pb2 import RTC_ROLE_PUBLISHER, IssueRtcTokenRequest
from token_authority.v1.token_service_pb2_grpc import TokenServiceStub
from token_authority.v1.whiteboard_pb2 import (
    WHITEBOARD_ROLE_WRITER,
    IssueWhiteboardTokenRequest,
    WhiteboardRoomScope,
)
from token_authority_client import AsyncTokenAuthorityClient, TokenAuthorityClient

CALLS, ROUNDS, SECONDS = 400, 15, 5.0
CHANNEL: Final = "7d72365eb983485397e3e3f9d460bdda"
ROOM: Final = "4a50cb3b6a0c4b5e9a1d1c1f0e6d7c8b"


def rtc_by_stub(stub: Any) -> Any:
    """Calls IssueRtcToken of a generated stub."""
    request = IssueRtcTokenRequest(channel_name=CHANNEL, uid=7, role=RTC_ROLE_PUBLISHER)
    return stub.IssueRtcToken(request, timeout=SECONDS)


def rtc_by_client(client: Any) -> Any:
    """Calls issue_rtc_token of our client."""
    return client.issue_rtc_token(channel=CHANNEL, uid=7, role="publisher")


def room_by_stub(stub: Any) -> Any:
    """Calls IssueWhiteboardToken of a generated stub."""
    request = IssueWhiteboardTokenRequest(
        room=WhiteboardRoomScope(room_uuid=ROOM), role=WHITEBOARD_ROLE_WRITER
    )
    return stub.IssueWhiteboardToken(request, timeout=SECONDS)


def room_by_client(client: Any) -> Any:
    """Calls issue_whiteboard_token of our client."""
    return client.issue_whiteboard_token(room=ROOM, role="writer")


PAIRS: Final = {
    "issue_rtc_token": (rtc_by_stub, rtc_by_client),
    "issue_whiteboard_token": (room_by_stub, room_by_client),
}


def blocking(call: Callable[[Any], Any], caller: Any, *, is_stub: bool) -> float:
    """Makes calls one after the other; returns microseconds of CPU per call."""
    began = time.process_time()
    for _ in range(CALLS):
        answer = call(caller)
        token = answer.issued_token.token if is_stub else answer.token
        assert token
    return (time.process_time() - began) / CALLS * 1e6


async def awaited(call: Callable[[Any], Awaitable[Any]], caller: Any, *, is_stub: bool) -> float:
    """Makes calls one after the other; returns microseconds of CPU per call."""
    began = time.process_time()
    for _ in range(CALLS):
        answer = await call(caller)
        token = answer.issued_token.token if is_stub else answer.token
        assert token
    return (time.process_time() - began) / CALLS * 1e6


def report(name: str, rounds: list[tuple[float, float]]) -> None:
    """Prints medians; the first round only warms up."""
    stub, client = (statistics.median(column) for column in zip(*rounds[1:], strict=True))
    ratio = statistics.median(ours / theirs for theirs, ours in rounds[1:])
    print(f"{name}: client {client:.0f} µs of CPU a call, stub {stub:.0f} µs, ratio {ratio:.2f}")


def compare_blocking(address: str) -> None:
    """Compares blocking calls."""
    with TokenAuthorityClient(address) as client, grpc.insecure_channel(address) as channel:
        stub = TokenServiceStub(channel)
        for name, (theirs, ours) in PAIRS.items():
            rounds = [
                (blocking(theirs, stub, is_stub=True), blocking(ours, client, is_stub=False))
                for _ in range(ROUNDS + 1)
            ]
            report(f"{name}, blocking", rounds)


async def compare_awaited(address: str) -> None:
    """Compares calls of asyncio."""
    async with (
        AsyncTokenAuthorityClient(address) as client,
        aio.insecure_channel(address) as channel,
    ):
        stub = TokenServiceStub(channel)
        for name, (theirs, ours) in PAIRS.items():
            rounds = [
                (
                    await awaited(theirs, stub, is_stub=True),
                    await awaited(ours, client, is_stub=False),
                )
                for _ in range(ROUNDS + 1)
            ]
            report(f"{name}, asyncio", rounds)


async def main() -> None:
    """Compares both kinds of clients."""
    with tempfile.TemporaryDirectory() as folder:
        server = start_ours("IssueRtcToken", Path(folder) / "log")
        await asyncio.to_thread(compare_blocking, server.address)
        await compare_awaited(server.address)
        await server.stop()


if __name__ == "__main__":
    asyncio.run(main())
