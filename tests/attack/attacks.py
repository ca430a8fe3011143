"""The attacks, each bounded in streams, bytes and time. A process of its own runs one of them.

    python tests/attack/attacks.py NAME TARGET

TARGET is JSON: see `Target`. The process prints "holding" when all of the attack is in place, keeps
it there, and ends when its standard input does.
"""

import asyncio
import json
import logging
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1]))

from attack.calls import (
    inspections,
    refusals,
    refusals_of_a_caller,
    short_inspections,
    validations,
)
from attack.frames import FRAME_ATTACKS
from attack.target import CHECK, EVERY_PATH, ISSUE, WATCH, Attack, Holding, Target
from attack.wire import GZIP, Header, HostileConnection, gzip_bomb, message

# 4,104 bytes of gzip: as much as a message limit of 4 MiB lets through.
INFLATED_BYTES: Final = 4_200_000
MEBIBYTE: Final = 1 << 20
# How long a request's body may wait for flow control, and how long a flood may take.
_PATIENCE_SECONDS: Final = 0.2
_FLOOD_SECONDS: Final = 10


async def _flood(
    target: Target,
    connections: int,
    streams: int,
    *,
    paths: Sequence[str] = (ISSUE,),
    headers: Sequence[Header] = (),
    body: bytes = b"",
    end: bool = False,
) -> Holding:
    """Opens connections and begins requests on each, all connections at once."""

    async def fill(connection: HostileConnection) -> None:
        for number in range(streams):
            path = paths[number % len(paths)]
            await connection.begin(path, headers, body, end=end, patience=_PATIENCE_SECONDS)
            if connection.closed:
                break

    opened = await asyncio.gather(
        *[HostileConnection.open(target.address, target.tls) for _ in range(connections)]
    )
    filling = [asyncio.create_task(fill(connection)) for connection in opened]
    # A server that stops reading ends the attack as well.
    await asyncio.wait(filling, timeout=_FLOOD_SECONDS)
    return [*opened, *filling]


async def bombs(target: Target) -> Holding:
    """One connection, 990 gzip messages of 4,104 bytes that inflate to 4.2 MB each."""
    bomb = gzip_bomb(INFLATED_BYTES)
    return await _flood(target, 1, 990, headers=[GZIP], body=bomb, end=True)


async def bombs_everywhere(target: Target) -> Holding:
    """The same over every method, health, reflection and a method that does not exist."""
    bomb = gzip_bomb(INFLATED_BYTES)
    return await _flood(target, 1, 990, paths=EVERY_PATH, headers=[GZIP], body=bomb, end=True)


async def unfinished_bodies(target: Target) -> Holding:
    """300 requests of 4 MiB that lack their last byte."""
    body = message(bytes(4 * MEBIBYTE))[:-1]
    return await _flood(target, 3, 100, body=body)


async def unfinished_bodies_everywhere(target: Target) -> Holding:
    """The same with bodies of 1 MiB over health, reflection and a method that does not exist."""
    body = message(bytes(MEBIBYTE))[:-1]
    return await _flood(target, 3, 100, paths=EVERY_PATH[2:], body=body)


async def bombs_of_a_caller(target: Target) -> Holding:
    """A caller with max_in_flight = 8 sends 300 messages that inflate to 200 MB each."""
    bomb = gzip_bomb(200_000_000)
    return await _flood(target, 1, 300, headers=[GZIP, target.bearer], body=bomb, end=True)


async def unfinished_bodies_of_a_caller(target: Target) -> Holding:
    """A caller with max_in_flight = 8 leaves 300 requests of 1 MiB unfinished."""
    body = message(bytes(MEBIBYTE))[:-1]
    return await _flood(target, 3, 100, headers=[target.bearer], body=body)


async def headers_only(target: Target) -> Holding:
    """20 connections with 1,000 requests each of which only the headers come."""
    return await _flood(target, 20, 1000)


async def checks_without_message(target: Target) -> Holding:
    """The same with health checks."""
    return await _flood(target, 20, 1000, paths=[CHECK])


async def watches(target: Target) -> Holding:
    """20 connections with 1,000 health watches each."""
    return await _flood(target, 20, 1000, paths=[WATCH], body=message(b""), end=True)


async def ended_without_message(target: Target) -> Holding:
    """20 connections with 1,000 requests each that end without a message."""
    return await _flood(target, 20, 1000, end=True)


async def made_up_key_ids(target: Target) -> Holding:
    """20 connections with 100 JWTs each whose key ids have to be looked up at a slow provider."""
    header, claims = "eyJhbGciOiJFUzI1NiIsImtpZCI6Im1hZGUtdXAifQ", "eyJpc3MiOiJ4In0"
    jwt = (b"authorization", f"Bearer {header}.{claims}.c2ln".encode())
    return await _flood(target, 20, 100, headers=[jwt])


async def silent_connections(target: Target) -> Holding:
    """600 TCP connections to the TLS and mTLS listeners that send nothing."""
    held: list[socket.socket] = []
    for number in range(600):
        host, _, port = (target.address, target.mtls_address)[number % 2].rpartition(":")
        connection = socket.socket()
        connection.setblocking(False)
        connection.connect_ex((host, int(port)))
        held.append(connection)
    return held


ATTACKS: Final[dict[str, Attack]] = {
    attack.__name__: attack
    for attack in (
        bombs,
        bombs_everywhere,
        unfinished_bodies,
        unfinished_bodies_everywhere,
        bombs_of_a_caller,
        unfinished_bodies_of_a_caller,
        headers_only,
        checks_without_message,
        watches,
        ended_without_message,
        made_up_key_ids,
        silent_connections,
        refusals,
        refusals_of_a_caller,
        inspections,
        short_inspections,
        validations,
        *FRAME_ATTACKS,
    )
}


async def _main(name: str, target: Target) -> None:
    holding = await ATTACKS[name](target)
    print("holding", flush=True)  # what run.py waits for
    await asyncio.to_thread(sys.stdin.read)
    del holding


if __name__ == "__main__":
    # Attacks write to connections that the server has closed; asyncio logs each such write.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    asyncio.run(_main(sys.argv[1], Target(**json.loads(sys.argv[2]))))
