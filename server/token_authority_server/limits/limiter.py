"""Rate limiter: charges callers for tokens, in Redis or in memory; in memory if Redis fails."""

import time
from collections.abc import Callable
from typing import Final

from token_authority_server.errors import batch_exceeds_limit, rate_limited
from token_authority_server.limits.quota import Quota, Rate
from token_authority_server.limits.shared import RedisWindows
from token_authority_server.limits.windows import MemoryWindows, Windows, seconds_until_room

_PAUSE_SECONDS: Final = 1.0
"""Pause after a failure before Redis is tried again."""


class RateLimiter:
    """Enforces the rate limits of callers."""

    def __init__(
        self,
        storage: str,
        *,
        on_degraded: Callable[[str], None],
        on_recovered: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
        timeout_seconds: float = 0.1,
    ) -> None:
        """Opens no connection. With Redis, imports packages: call it before an event loop runs.

        Args:
            storage: `memory`, or `redis://…` or `rediss://…` for quotas that replicas share.
            on_degraded: Called once when Redis fails, with the reason (never the URL); from then on
                this process enforces limits on its own.
            on_recovered: Called once when Redis works again.
            clock: Monotonic seconds.
            timeout_seconds: Deadline of all Redis commands of one call.

        Raises:
            ValueError: `storage` is invalid, or the redis package is missing.
        """
        self._memory = MemoryWindows(clock)
        self._redis = None if storage == "memory" else RedisWindows(storage, timeout_seconds)
        self._on_degraded = on_degraded
        self._on_recovered = on_recovered
        self._clock = clock
        self._degraded = False
        self._retry_at = 0.0

    @property
    def redis_up(self) -> bool | None:
        """Whether limits are counted in Redis, as of the last call; None: in memory on purpose."""
        return None if self._redis is None else not self._degraded

    async def spend(self, caller: str, quota: Quota, tokens: int) -> None:
        """Charges every rate of a quota, or none.

        In Redis, several rates are charged one after the other: if replicas compete for the last
        tokens of one rate, the loser may have been charged for another.

        Args:
            caller: Unique name of the caller.
            quota: The caller's quota.
            tokens: Number of tokens requested, at least 1.

        Raises:
            Refusal: RATE_LIMITED, with the time to wait; BATCH_EXCEEDS_LIMIT if none would help.
        """
        await self._spend(caller, caller, quota, tokens)

    async def spend_inspections(self, caller: str, quota: Quota, count: int) -> None:
        """Charges the caller's rates of inspections, or none; see `spend`.

        Args:
            caller: Its name.
            quota: Its quota, of which only `inspect_rates` count.
            count: How many inspections or `validate_only` requests, 1 or more.

        Raises:
            Refusal: As `spend`.
        """
        inspections = Quota(quota.inspect_rates)
        # No name of a caller has a colon.
        await self._spend(f"inspect:{caller}", caller, inspections, count)

    async def close(self) -> None:
        """Closes the connections to Redis, if any."""
        if self._redis:
            await self._redis.close()

    async def _spend(self, counter: str, caller: str, quota: Quota, tokens: int) -> None:
        if not quota.rates:
            return
        # Every rate has room for one token.
        if tokens > 1 and tokens > quota.max_batch:
            raise batch_exceeds_limit(tokens, quota.max_batch)
        if shortage := await self._charge(counter, quota, tokens):
            rate, seconds = shortage
            limit = "rate limit" if counter == caller else "inspect rate limit"
            raise rate_limited(caller, rate.text, tokens, seconds, limit=limit)

    async def _charge(self, counter: str, quota: Quota, tokens: int) -> tuple[Rate, float] | None:
        if not self._redis or (self._degraded and self._clock() < self._retry_at):
            return await _charge(self._memory, counter, quota, tokens)
        probing = self._degraded
        if probing:
            # One call probes Redis; the others do not wait for it.
            self._retry_at = self._clock() + _PAUSE_SECONDS
        try:
            async with self._redis.deadline():
                shortage = await _charge(self._redis.windows, counter, quota, tokens)
        except Exception as error:  # noqa: BLE001  # no call may fail because of Redis
            self._fail(self._redis.explain(error))
            return await _charge(self._memory, counter, quota, tokens)
        # Only a call that began after the failure shows that Redis works again.
        if probing and self._degraded:
            self._degraded = False
            self._on_recovered()
        return shortage

    def _fail(self, reason: str) -> None:
        self._retry_at = self._clock() + _PAUSE_SECONDS
        if not self._degraded:
            self._degraded = True
            self._on_degraded(reason)


async def _charge(
    windows: Windows, counter: str, quota: Quota, tokens: int
) -> tuple[Rate, float] | None:
    """Charges all rates; or none, and returns the rate with the longest wait, and its wait."""
    rates = [(rate, f"{counter}/{rate.amount}/{rate.seconds}") for rate in quota.rates]
    # The first rate needs no check: it is checked and charged in one step, before the others.
    if not await _shortage(windows, rates[1:], tokens):
        for rate, key in rates:
            if not await windows.acquire_sliding_window_entry(
                key, rate.amount, rate.seconds, tokens
            ):
                break
        else:
            return None
    # There may be room again by now: then the shortest wait is enough.
    return await _shortage(windows, rates, tokens) or (quota.rates[0], 0.001)


async def _shortage(
    windows: Windows, rates: list[tuple[Rate, str]], tokens: int
) -> tuple[Rate, float] | None:
    worst: tuple[Rate, float] | None = None
    for rate, key in rates:
        window = await windows.get_sliding_window(key, rate.seconds)
        seconds = seconds_until_room(rate, tokens, window)
        if seconds > (worst[1] if worst else 0):
            worst = rate, seconds
    return worst
