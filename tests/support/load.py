"""Calls at a steady rate, and counts failures."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from grpc import aio

from token_authority_client import TokenAuthorityError


@dataclass
class Outcome:
    """How many calls of a client failed, and the slowest."""

    calls: int = 0
    failures: Counter[str] = field(default_factory=Counter[str])
    slowest: float = 0.0

    def add(self, other: "Outcome") -> None:
        """Adds the calls of another run."""
        self.calls += other.calls
        self.failures += other.failures
        self.slowest = max(self.slowest, other.slowest)


Send = Callable[[], Awaitable[Any]]


async def load(send: Send, rate: float, until: asyncio.Event) -> Outcome:
    """Calls at a steady rate until an event is set; returns the outcome of all of them."""
    outcome, tasks = Outcome(), set[asyncio.Task[None]]()

    async def one() -> None:
        started = time.perf_counter()
        outcome.calls += 1
        try:
            await send()
        except aio.AioRpcError as error:
            outcome.failures[error.code().name] += 1
        except TokenAuthorityError as error:
            outcome.failures[f"{type(error).__name__}/{error.reason or error.code}"] += 1
        outcome.slowest = max(outcome.slowest, time.perf_counter() - started)

    began = time.perf_counter()
    for number in range(1_000_000):
        if until.is_set():
            break
        task = asyncio.create_task(one())
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        await asyncio.sleep(max(0.0, began + (number + 1) / rate - time.perf_counter()))
    await asyncio.gather(*tasks)
    return outcome
