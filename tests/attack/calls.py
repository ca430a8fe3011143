"""Attacks by whole calls, well-formed and as fast as they are answered."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import grpc
from grpc import aio

from attack.target import INSPECT, ISSUE, VALID, Holding, Target
from token_authority.v1.inspection_pb2 import InspectTokenRequest
from token_authority.v1.rtc_pb2 import IssueRtcTokenRequest


async def refusals(target: Target) -> Holding:
    """4 connections on which strangers send refused requests, 60 at once, as fast as answered."""
    trusted = grpc.ssl_channel_credentials(Path(target.ca).read_bytes())

    async def call(channel: Any) -> None:
        while True:
            with contextlib.suppress(aio.AioRpcError):
                await channel.unary_unary(ISSUE)(VALID.SerializeToString(), timeout=10)

    held: list[Any] = []
    for number in range(4):  # channels with equal options would share a connection
        channel: Any = aio.secure_channel(target.address, trusted, options=[("number", number)])
        held += [channel, *[asyncio.create_task(call(channel)) for _ in range(60)]]
    return held


async def refusals_of_a_caller(target: Target) -> Holding:
    """A caller keeps 60 calls in flight for a project of which it has no grant."""
    request = IssueRtcTokenRequest()
    request.CopyFrom(VALID)
    request.project = "not-granted"
    return await _repeat(target, ISSUE, request.SerializeToString(), 60)


async def inspections(target: Target) -> Holding:
    """A caller keeps 60 InspectToken calls in flight, each of 64 KB of noise."""
    noise = InspectTokenRequest(token=('x%41 "' * 13_000)[:60_000]).SerializeToString()
    return await _repeat(target, INSPECT, noise, 60)


async def short_inspections(target: Target) -> Holding:
    """The same with a few characters each."""
    return await _repeat(target, INSPECT, InspectTokenRequest(token="x").SerializeToString(), 60)


async def validations(target: Target) -> Holding:
    """A caller keeps 60 validate_only calls in flight."""
    request = IssueRtcTokenRequest()
    request.CopyFrom(VALID)
    request.validate_only = True
    return await _repeat(target, ISSUE, request.SerializeToString(), 60)


async def _repeat(target: Target, path: str, data: bytes, concurrency: int) -> Holding:
    credentials = grpc.ssl_channel_credentials(Path(target.ca).read_bytes())
    channel: Any = aio.secure_channel(target.address, credentials)
    metadata = (("authorization", f"Bearer {target.key}"),)

    async def call() -> None:
        while True:
            with contextlib.suppress(aio.AioRpcError):
                await channel.unary_unary(path)(data, metadata=metadata, timeout=10)

    return [channel, *[asyncio.create_task(call()) for _ in range(concurrency)]]
