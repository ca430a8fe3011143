import asyncio
import time

import pytest

from token_authority_server.rpc.waits import Tarpit


async def test_refusals_beyond_a_burst_are_answered_at_an_even_pace() -> None:
    tarpit = Tarpit(per_second=100, burst=10)
    began = time.monotonic()

    async def delayed() -> float:
        await tarpit.delay()
        return time.monotonic() - began

    ends = sorted(await asyncio.gather(*[delayed() for _ in range(40)]))
    # 10 at once, and the others one every 10 ms.
    assert ends[9] < ends[10]
    assert [ends[number] >= (number - 9) / 100 - 0.002 for number in range(10, 40)] == [True] * 30


async def test_few_refusals_are_not_delayed() -> None:
    now = 1.0
    tarpit = Tarpit(per_second=100, burst=2, clock=lambda: now)
    for _ in range(100):
        delay = tarpit.delay()
        with pytest.raises(StopIteration):  # it does not even yield to the event loop
            delay.send(None)
        now += 0.01


async def test_a_bounded_number_is_delayed() -> None:
    tarpit = Tarpit(per_second=0.01, burst=1, max_delayed=1, clock=lambda: 1.0)
    await asyncio.wait_for(tarpit.delay(), 0.1)
    delayed = asyncio.create_task(tarpit.delay())
    await asyncio.sleep(0)
    # There is no more room to wait.
    await asyncio.wait_for(tarpit.delay(), 0.1)
    assert not delayed.done()
    delayed.cancel()


async def test_a_call_that_ends_while_it_is_delayed_makes_room() -> None:
    tarpit = Tarpit(per_second=0.01, burst=0, max_delayed=1, clock=lambda: 1.0)
    first = asyncio.create_task(tarpit.delay())
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    second = asyncio.create_task(tarpit.delay())
    await asyncio.sleep(0)
    assert not second.done()
    second.cancel()
