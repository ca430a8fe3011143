"""What the tests of audit trails have in common: records, and files as they should be."""

import asyncio
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeAlias

from support.keys import NOW_MS
from token_authority_server.audit import AuditTrail
from token_authority_server.audit.record import Chain, body_of, seal

CHAIN_ID = "0123456789abcdef" * 2
NewTrail: TypeAlias = Callable[..., AuditTrail]


class Reports:
    """What a trail says of itself, and its clock, which counts."""

    def __init__(self) -> None:
        self.failures: list[str] = []
        """What went wrong, in order; "" where it recovered."""
        self._now_ms = NOW_MS

    def clock(self) -> int:
        self._now_ms += 1
        return self._now_ms


def issued(number: int = 7, **more: Any) -> dict[str, Any]:
    """A record as the authority makes them."""
    return {"event": "issued", "caller": "backend", "user": f"uid:{number}", **more}


def lines(count: int, chain_id: str = CHAIN_ID) -> list[bytes]:
    """The lines of a trail."""
    bodies = [body_of(issued(number), NOW_MS + number) for number in range(count)]
    return seal(Chain(chain_id), bodies)[0].splitlines(keepends=True)


def read(*paths: Path) -> list[dict[str, Any]]:
    """The records in files."""
    return [json.loads(line) for path in paths for line in path.read_bytes().splitlines()]


def users(records: Iterable[dict[str, Any]]) -> list[str]:
    """Whom the issued ones are for."""
    return [record["user"] for record in records if record["event"] == "issued"]


async def until(condition: Callable[[], object]) -> None:
    """Waits for what a thread will do."""
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen within 5 s")
