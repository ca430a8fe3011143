import asyncio
from datetime import timedelta
from typing import Any

import pytest

from support.clients import Either
from support.ports import free_port
from support.serving import running
from token_authority_client import Unavailable
from token_authority_client._outage import PATIENCE_SECONDS, Outage

RTC: dict[str, Any] = {"channel": "c", "uid": 7, "role": "publisher", "project": "classroom"}


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_server_that_never_answered_is_not_waited_for() -> None:
    assert Outage(Clock()).patience(100.0, 60.0) == 0


def test_a_server_that_answered_is_waited_for_until_the_call_or_the_patience_ends() -> None:
    clock = Clock()
    outage = Outage(clock)
    outage.end()
    assert outage.is_over
    clock.now = 103.0
    assert outage.patience(100.0, 5.0) == 2.0
    assert outage.patience(101.0, 60.0) == PATIENCE_SECONDS - 3.0
    clock.now = 100.0 + PATIENCE_SECONDS
    assert outage.patience(109.0, 60.0) == 0
    outage.end()
    assert outage.patience(109.0, 60.0) == PATIENCE_SECONDS - 1.0


def test_a_call_that_found_no_server_begins_an_outage() -> None:
    outage = Outage(Clock())
    outage.end()
    outage.patience(100.0, 5.0)
    assert not outage.is_over


async def test_a_call_waits_for_a_server_that_restarts(client_type: Any) -> None:
    address = f"127.0.0.1:{free_port()}"
    async with running(listen=address):
        either = Either(client_type(address, timeout=timedelta(seconds=20)))
        await either.issue_rtc_token(**RTC)
    call = asyncio.ensure_future(either.issue_rtc_token(**RTC))
    # Longer than gRPC's five attempts take.
    await asyncio.sleep(5)
    assert not call.done()
    async with running(listen=address):
        assert (await call).token
    await either.close()


async def test_a_server_that_does_not_return_is_reported_as_unreachable(client_type: Any) -> None:
    address = f"127.0.0.1:{free_port()}"
    async with running(listen=address):
        either = Either(client_type(address, timeout=timedelta(seconds=5)))
        await either.issue_rtc_token(**RTC)
    with pytest.raises(Unavailable) as caught:
        await either.issue_rtc_token(**RTC)
    assert caught.value.reason == "NOTHING_LISTENS"
    await either.close()
