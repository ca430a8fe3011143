"""A short form of drain.py; the script prints the whole table."""

import pytest

from attack.drain import stop_under_load


@pytest.mark.parametrize("target", ["list", "virtual"])
async def test_draining_fails_no_call(target: str) -> None:
    outcomes = await stop_under_load(target, 1, 50, ("shipped", "plain", "health"))
    # What a stopping server has not begun gets CANCELLED (grpc/grpc#41785); here the load is low,
    # and a burst of it would be what this test is for.
    assert set(outcomes["plain"].failures) <= {"CANCELLED"}
    assert outcomes["plain"].failures.total() <= outcomes["plain"].calls // 10
    for kind in ("shipped", "health"):
        assert outcomes[kind].calls > 50
        assert not outcomes[kind].failures


async def test_a_killed_server_fails_no_source_and_no_call_that_waits() -> None:
    outcomes = await stop_under_load("kill", 1, 50, ("wait_for_ready", "source"))
    for outcome in outcomes.values():
        assert outcome.calls > 100
        assert not outcome.failures
