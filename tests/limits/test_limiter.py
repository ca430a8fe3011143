import asyncio
import re
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from token_authority_server.errors import Reason, Refusal
from token_authority_server.limits import InFlight, Quota, RateLimiter

SECOND = Quota.parse("200/second")


class Clock:
    """Stands still until it is told."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def limiter(clock: Clock) -> RateLimiter:
    def never(*_: str) -> None:
        raise AssertionError("there is no Redis to fail")

    return RateLimiter("memory", on_degraded=never, on_recovered=never, clock=clock)


async def refusal(limits: RateLimiter, quota: Quota, tokens: int, caller: str = "web") -> Refusal:
    with pytest.raises(Refusal) as caught:
        await limits.spend(caller, quota, tokens)
    return caught.value


async def wait_for(limits: RateLimiter, quota: Quota, tokens: int) -> float | None:
    """Spends, or returns how long to wait."""
    try:
        await limits.spend("web", quota, tokens)
    except Refusal as refused:
        return refused.retry_after_seconds
    return None


# --- Quotas ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rates", "described", "max_batch"),
    [
        ("200/second; 10000/hour", ["200 per 1 second", "10000 per 1 hour"], 200),
        (["10000/hour", "200 per 5 seconds"], ["10000 per 1 hour", "200 per 5 second"], 200),
        (["1/hour|2/second", "3/day"], ["1 per 1 hour", "2 per 1 second", "3 per 1 day"], 1),
        ("501/minute", ["501 per 1 minute"], 500),
        ("1/day", ["1 per 1 day"], 1),
        ("1000000000/second", ["1000000000 per 1 second"], 500),
        ("9 per 31 days", ["9 per 31 day"], 9),
        ([], [], 500),
    ],
)
def test_a_quota_is_read_from_text(
    rates: str | list[str], described: list[str], max_batch: int
) -> None:
    quota = Quota.parse(rates)
    assert quota.describe() == described
    assert quota.max_batch == max_batch


@pytest.mark.parametrize(
    ("rates", "told"),
    [
        ("", 'write rates like "200/second; 10000/hour"'),
        ("200", "'200' is not a rate: write"),
        ("200/fortnight", "'200/fortnight' is not a rate: write"),
        ("200/second;", "'' is not a rate"),
        ("-1/second", "is not a rate"),
        ("1.5/second", "is not a rate"),
        ("٣/second\n1/hour", "is not a rate"),
        (["200/second; 3/hour", "4/hour"], "two rates have the same window"),
        ("9" * 5000 + "/second", "is not a rate"),
        ("0/second", "a rate is 1 to 1000000000 tokens"),
        ("1000000001/second", "a rate is 1 to 1000000000 tokens"),
        ("5/0 seconds", "the window of a rate is 1 second to 31 days"),
        ("5 per 0second", "the window of a rate is 1 second to 31 days"),
        ("5/32 days", "the window of a rate is 1 second to 31 days"),
        ("5/year", "the window of a rate is 1 second to 31 days"),
        ("200/minute; 100/60 seconds", "two rates have the same window: keep the smaller one"),
    ],
)
def test_a_rate_that_is_none_says_what_to_write(rates: str | list[str], told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)) as caught:
        Quota.parse(rates)
    assert len(str(caught.value)) < 200


def test_a_bound_on_calls_is_positive() -> None:
    assert Quota.parse([], 1).max_in_flight == 1
    with pytest.raises(ValueError, match="max_in_flight must be at least 1"):
        Quota.parse([], 0)


def test_the_largest_batch_is_the_contracts() -> None:
    protos = Path(__file__).parents[2] / "protos"
    (rule,) = re.findall(
        r"max_items: (\d+)", (protos / "token_authority/v1/batch.proto").read_text()
    )
    assert Quota().max_batch == int(rule)


# --- Rates in memory ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rate", ["1/second", "200/second", "7/3 seconds", "60/minute", "10000/hour", "3/day"]
)
@pytest.mark.parametrize("start", [0.0, 0.5, 1e9 + 0.999])
async def test_a_rate_lets_exactly_its_amount_through_at_once(rate: str, start: float) -> None:
    clock = Clock(start)
    limits, quota = limiter(clock), Quota.parse(rate)
    (only,) = quota.rates
    for _ in range(only.amount):
        await limits.spend("web", quota, 1)
    refused = await refusal(limits, quota, 1)
    assert refused.reason is Reason.RATE_LIMITED
    assert refused.subject == "callers/web"
    assert refused.metadata == {
        "caller": "web",
        "rate": only.text,
        "tokens": "1",
        "retry_after_seconds": f"{refused.retry_after_seconds:.3f}",
    }
    await limits.spend("other", quota, 1)
    # Two windows later nothing is left of it.
    clock.now += 2 * only.seconds
    for _ in range(only.amount):
        await limits.spend("web", quota, 1)
    await refusal(limits, quota, 1)


async def test_the_edge_of_a_window_is_no_loophole() -> None:
    clock = Clock(0.999)
    limits = limiter(clock)
    await limits.spend("web", SECOND, 200)
    clock.now = 1.0
    assert (await refusal(limits, SECOND, 1)).retry_after_seconds == pytest.approx(0.002)
    clock.now = 1.25  # A quarter of the earlier window has gone by, and of its tokens.
    await limits.spend("web", SECOND, 50)
    clock.now = 1.2501
    assert (await refusal(limits, SECOND, 2)).reason is Reason.RATE_LIMITED


async def test_a_batch_costs_its_tokens() -> None:
    limits = limiter(Clock())
    await limits.spend("web", SECOND, 150)
    await refusal(limits, SECOND, 51)
    await limits.spend("web", SECOND, 50)
    await refusal(limits, SECOND, 1)


async def test_a_refusal_costs_nothing_on_any_rate() -> None:
    clock = Clock()
    limits = limiter(clock)
    quota = Quota.parse("10/second; 15/hour")
    await limits.spend("web", quota, 10)
    for _ in range(100):
        assert (await refusal(limits, quota, 5)).metadata["rate"] == "10 per 1 second"
    clock.now = 2.0
    for _ in range(100):
        assert (await refusal(limits, quota, 6)).metadata["rate"] == "15 per 1 hour"
    await limits.spend("web", quota, 5)


async def test_the_wait_is_that_of_the_slowest_rate() -> None:
    clock = Clock()
    limits = limiter(clock)
    quota = Quota.parse("10/second; 10/minute")
    await limits.spend("web", quota, 10)
    refused = await refusal(limits, quota, 1)
    assert refused.metadata["rate"] == "10 per 1 minute"
    clock.now += refused.retry_after_seconds or 0
    await limits.spend("web", quota, 1)


async def test_a_batch_that_can_never_pass_is_refused_with_the_maximum() -> None:
    clock = Clock()
    limits = limiter(clock)
    quota = Quota.parse("200/second; 150/hour")
    refused = await refusal(limits, quota, 151)
    assert refused.reason is Reason.BATCH_EXCEEDS_LIMIT
    assert refused.metadata == {"tokens": "151", "max_batch": "150"}
    assert refused.retry_after_seconds is None
    await limits.spend("web", quota, 150)


async def test_no_rates_mean_no_limit() -> None:
    limits = limiter(Clock())
    for _ in range(1000):
        await limits.spend("web", Quota(), 500)
    await limits.close()


async def test_tasks_together_get_no_more_than_one_alone() -> None:
    limits = limiter(Clock())
    quota = Quota.parse("60/second; 75/minute")
    outcomes = await asyncio.gather(
        *(limits.spend("web", quota, 1) for _ in range(100)), return_exceptions=True
    )
    assert sum(outcome is None for outcome in outcomes) == 60
    assert all(outcome is None or isinstance(outcome, Refusal) for outcome in outcomes)


QUOTAS = st.lists(
    st.tuples(st.integers(1, 40), st.integers(1, 100)),
    min_size=1,
    max_size=3,
    unique_by=lambda rate: rate[1],
).map(lambda rates: Quota.parse([f"{amount}/{seconds} seconds" for amount, seconds in rates]))
STEPS = st.lists(
    st.tuples(st.floats(0, 70, allow_nan=False), st.integers(1, 40)), min_size=1, max_size=40
)


@given(QUOTAS, STEPS, st.floats(0, 1e6))
def test_whatever_the_order_the_rates_hold(
    quota: Quota, steps: Sequence[tuple[float, int]], start: float
) -> None:
    async def run() -> None:
        clock = Clock(start)
        limits, never_refused = limiter(clock), limiter(clock)
        given_out: list[tuple[float, int]] = []
        for pause, wanted in steps:
            clock.now += pause
            tokens = min(wanted, quota.max_batch)
            if (seconds := await wait_for(limits, quota, tokens)) is not None:
                # Waiting as long as told is enough, and less is not.
                clock.now += max(0.0, seconds - 0.004)
                if seconds > 0.004:
                    await refusal(limits, quota, tokens)
                clock.now += min(seconds, 0.004)
                await limits.spend("web", quota, tokens)
            await never_refused.spend("web", quota, tokens)
            given_out.append((clock.now, tokens))
        for rate in quota.rates:
            windows: Counter[float] = Counter()
            for at, tokens in given_out:
                windows[at // rate.seconds] += tokens
            assert max(windows.values()) <= rate.amount

    asyncio.run(run())


@pytest.mark.parametrize(
    "storage",
    [
        "",
        "Memory",
        "redis",
        "http://127.0.0.1",
        "redis://",
        "redis://:hunter2/5@127.0.0.1",
        "redis://:12/34hunter2@127.0.0.1:6379",
        "redis://:12?hunter2@127.0.0.1:6379",
        "redis://:12#hunter2@127.0.0.1:6379",
        "redis://user:12/3?hunter2@127.0.0.1:6379",
        "redis://user:12/3#hunter2",
        "redis://user:hunter2@127.0.0.1:port",
        "redis://user:hunter2@127.0.0.1/zero",
        "redis://user:hunter2@127.0.0.1/0?no_such_option=1",
    ],
)
def test_an_address_that_is_none_is_refused_unsaid(storage: str) -> None:
    with pytest.raises(ValueError, match="write memory, redis://HOST:PORT") as caught:
        RateLimiter(storage, on_degraded=print, on_recovered=print)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_redis_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ValueError, match=r"install agora-token-authority\[redis\]"):
        RateLimiter("redis://127.0.0.1", on_degraded=print, on_recovered=print)
    RateLimiter("memory", on_degraded=print, on_recovered=print)


# --- Calls under way ------------------------------------------------------------------------------


def test_calls_are_counted_while_they_last() -> None:
    calls, one = InFlight(2), Quota((), 1)
    with calls.enter("web", one):
        with pytest.raises(Refusal) as own, calls.enter("web", one):
            raise AssertionError("entered")
        with calls.enter("other", one), pytest.raises(Refusal) as total, calls.enter("x", Quota()):
            raise AssertionError("entered")
    assert own.value.reason is total.value.reason is Reason.TOO_MANY_IN_FLIGHT
    assert own.value.metadata == {"bound": "caller", "max_in_flight": "1"}
    assert total.value.metadata == {"bound": "server", "max_in_flight": "2"}
    assert (own.value.subject, total.value.subject) == ("callers/web", "server")
    assert own.value.retry_after_seconds == total.value.retry_after_seconds == 0.1
    with calls.enter("web", one), calls.enter("x", one):
        pass


def test_a_call_that_was_never_entered_counts_nothing() -> None:
    calls = InFlight(1)
    calls.enter("web", Quota())
    with calls.enter("web", Quota()):
        pass


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["end", "raise", "cancel"]))))
def test_no_end_of_a_call_leaks_its_count(ends: list[tuple[str, str]]) -> None:
    async def call(calls: InFlight, caller: str, end: str) -> None:
        with calls.enter(caller, Quota((), 1000)):
            await asyncio.sleep(60 if end == "cancel" else 0)
            if end == "raise":
                raise RuntimeError

    async def run() -> None:
        calls = InFlight(1)
        full = InFlight(len(ends))
        running = [asyncio.create_task(call(full, *end)) for end in ends]
        await asyncio.sleep(0)
        if ends:
            with pytest.raises(Refusal), full.enter("c", Quota()):
                raise AssertionError("entered")
        for task, (_, end) in zip(running, ends, strict=True):
            if end == "cancel":
                task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for caller, _ in [*ends, ("c", "")]:
            with calls.enter(caller, Quota((), 1)):
                pass
        assert full.__dict__ == {"max_total": len(ends), "_total": 0, "_by_caller": {}}

    asyncio.run(run())
