"""A short form of drain.py; the script prints the whole table, and bounds it over more calls."""

import asyncio

from attack.drain import stop_under_load

AFTER_SECONDS = 1.0
# What is on its way to a stopping server gets CANCELLED (grpc/grpc#41785). A busy machine takes
# some milliseconds to tell a client: of so few calls a second, one at most is on its way meanwhile.
PLAIN_RATE = 10
MAX_CANCELLED = 1


async def test_draining_fails_no_call() -> None:
    rates = {"shipped": 50, "plain": PLAIN_RATE, "health": 50}
    for outcomes in await asyncio.gather(
        *[stop_under_load(target, 1, rates, after=AFTER_SECONDS) for target in ("list", "virtual")]
    ):
        plain = outcomes["plain"]
        assert set(plain.failures) <= {"CANCELLED"}
        assert plain.failures.total() <= MAX_CANCELLED
        assert plain.calls > 20
        for kind in ("shipped", "health"):
            assert outcomes[kind].calls > 50
            assert not outcomes[kind].failures


async def test_a_killed_server_fails_no_source_and_no_call_that_waits() -> None:
    rates = {"wait_for_ready": 50, "source": 50}
    for outcome in (await stop_under_load("kill", 1, rates, after=AFTER_SECONDS)).values():
        assert outcome.calls > 100
        assert not outcome.failures
