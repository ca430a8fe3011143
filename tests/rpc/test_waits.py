import asyncio

from token_authority_server.rpc.waits import Tarpit


async def test_of_many_refusals_a_second_a_bounded_number_is_delayed() -> None:
    now = 1.0
    tarpit = Tarpit(per_second=2, delay_seconds=0.2, max_delayed=1, clock=lambda: now)
    for _ in range(2):
        await asyncio.wait_for(tarpit.delay(), 0.1)
    delayed = asyncio.create_task(tarpit.delay())
    await asyncio.sleep(0)
    # There is no more room to wait.
    await asyncio.wait_for(tarpit.delay(), 0.1)
    assert not delayed.done()
    now = 2.0
    await asyncio.wait_for(tarpit.delay(), 0.1)
    await asyncio.wait_for(delayed, 5)


async def test_a_call_that_ends_while_it_is_delayed_makes_room() -> None:
    tarpit = Tarpit(per_second=0, delay_seconds=60, max_delayed=1, clock=lambda: 1.0)
    first = asyncio.create_task(tarpit.delay())
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    second = asyncio.create_task(tarpit.delay())
    await asyncio.sleep(0)
    assert not second.done()
    second.cancel()
