"""A short form of drain.py; the script prints the whole table."""

import asyncio

from attack.drain import stop_under_load

AFTER_SECONDS = 1.0


async def test_draining_fails_no_call() -> None:
    kinds = ("shipped", "plain", "health")
    for outcomes in await asyncio.gather(
        *[
            stop_under_load(target, 1, 50, kinds, after=AFTER_SECONDS)
            for target in ("list", "virtual")
        ]
    ):
        # What a stopping server has not begun gets CANCELLED (grpc/grpc#41785): at most one call
        # in 1,000, and so one of these few.
        plain = outcomes["plain"]
        assert set(plain.failures) <= {"CANCELLED"}
        assert plain.failures.total() <= -(-plain.calls // 1000)
        for kind in ("shipped", "health"):
            assert outcomes[kind].calls > 50
            assert not outcomes[kind].failures


async def test_a_killed_server_fails_no_source_and_no_call_that_waits() -> None:
    outcomes = await stop_under_load(
        "kill", 1, 50, ("wait_for_ready", "source"), after=AFTER_SECONDS
    )
    for outcome in outcomes.values():
        assert outcome.calls > 100
        assert not outcome.failures
