"""Monitors the certificate's expiry, steps of the clock and the head of the audit trail."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from datetime import UTC, datetime
from typing import Final

from token_authority_server.audit import AuditTrail
from token_authority_server.config.certificate import certificate_problem
from token_authority_server.telemetry.health import DegradedComponents
from token_authority_server.telemetry.log import Logger

_INTERVAL_SECONDS: Final = 0.5
_HEAD_SECONDS: Final = 60.0
_STEP_SECONDS: Final = 5.0
"""A clock that NTP slews never changes by that much within one check."""
_STEP_SHOWN_SECONDS: Final = 60.0
"""How long a step is reported: longer than the usual interval of Prometheus."""


class Monitor:
    """Reports faults of the clock and the certificate, and updates gRPC health with the readiness.

    Args:
        degraded: Receives the faults.
        report: Called with the components that keep this instance from issuing tokens.
        not_after: Returns when the TLS certificate expires; None without one.
        trail: Must not stall or have a record from the future; the heads of its chains are logged.
        logger: Receives the heads, and warnings about a certificate that expires soon.
        wall_clock: Seconds since 1970.
        steady_clock: Seconds, monotonic.
        observe_lag: Receives how late the event loop ran each check, in seconds.
    """

    def __init__(
        self,
        degraded: DegradedComponents,
        report: Callable[[Collection[str]], Awaitable[None]],
        not_after: Callable[[], datetime | None],
        trail: AuditTrail,
        logger: Logger,
        wall_clock: Callable[[], float] = time.time,
        steady_clock: Callable[[], float] = time.monotonic,
        observe_lag: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._degraded = degraded
        self._report = report
        self._not_after = not_after
        self._trail = trail
        self._logger = logger
        self._observe_lag = observe_lag
        self._wall_clock = wall_clock
        self._steady_clock = steady_clock
        self._offset = wall_clock() - steady_clock()
        self._step, self._step_until = "", float("-inf")
        self._head_at = steady_clock() + _HEAD_SECONDS
        self._heads: dict[str, int] = {}
        # Logged at start, with the other warnings.
        self._warned = self._certificate_problem()

    async def run(self) -> None:
        """Checks until it is cancelled."""
        while True:
            await self.check()
            due = self._steady_clock() + _INTERVAL_SECONDS
            await asyncio.sleep(_INTERVAL_SECONDS)
            self._observe_lag(max(0.0, self._steady_clock() - due))

    async def check(self) -> None:
        """Checks once."""
        self._check_certificate()
        self._check_clock()
        self._trail.report_stall()
        if self._steady_clock() >= self._head_at:
            self._head_at += _HEAD_SECONDS
            self.log_heads()
        await self._report(self._degraded.not_ready)

    def log_heads(self) -> None:
        """Logs the last record of each chain that has grown: a copy exposes truncation."""
        for name, chain in self._trail.heads.items():
            if chain.seq != self._heads.get(name, 0):
                self._heads[name] = chain.seq
                self._logger.info(
                    "audit head",
                    sink=name,
                    chain=chain.chain_id,
                    seq=chain.seq,
                    hash=chain.last_hash,
                )

    def _check_certificate(self) -> None:
        problem = self._certificate_problem()
        not_after = self._not_after()
        if not_after and self._wall_clock() > not_after.timestamp():
            self._degraded.fail("certificate", problem, not_ready=True)
            return
        self._degraded.recover("certificate")
        if problem != self._warned:
            self._warned = problem
            if problem:
                self._logger.warning("certificate expires", problem=problem)

    def _certificate_problem(self) -> str:
        not_after = self._not_after()
        now = datetime.fromtimestamp(self._wall_clock(), UTC)
        return certificate_problem(not_after, now) if not_after else ""

    def _check_clock(self) -> None:
        now, steady = self._wall_clock(), self._steady_clock()
        offset = now - steady
        step, self._offset = offset - self._offset, offset
        if abs(step) > _STEP_SECONDS:
            direction = "forward" if step > 0 else "back"
            self._step = f"the clock was set {direction} by {abs(step):.0f} s"
            self._step_until = steady + _STEP_SHOWN_SECONDS
        behind = self._trail.newest_ms / 1000 - now
        if behind > _STEP_SECONDS:
            self._degraded.fail("clock", "the clock is behind the newest audit record: set it")
        elif steady < self._step_until:
            self._degraded.fail("clock", self._step)
        else:
            self._degraded.recover("clock")
