import io
import json
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from token_authority_server.audit import AuditTrail, FileSink
from token_authority_server.process.monitor import Monitor
from token_authority_server.telemetry.health import DegradedComponents
from token_authority_server.telemetry.log import make_logger
from token_authority_server.telemetry.metrics import Metrics

START = datetime(2026, 11, 27, 12, tzinfo=UTC)


@dataclass
class Watched:
    """A monitor whose clocks a test moves."""

    trail: AuditTrail
    not_after: datetime | None = None
    wall: float = START.timestamp()
    steady: float = 1000.0
    reported: list[set[str]] = field(default_factory=list[set[str]])
    output: io.StringIO = field(default_factory=io.StringIO)

    def __post_init__(self) -> None:
        logger = make_logger("json", "debug", self.output)
        self.degraded = DegradedComponents(logger, Metrics())

        async def report(names: Collection[str]) -> None:
            self.reported.append(set(names))

        self.monitor = Monitor(
            self.degraded,
            report,
            lambda: self.not_after,
            self.trail,
            logger,
            lambda: self.wall,
            lambda: self.steady,
        )

    async def after(self, seconds: float, *, wall: float | None = None) -> dict[str, str]:
        """Lets time pass, and checks; returns what is degraded then."""
        self.steady += seconds
        self.wall += seconds if wall is None else wall
        await self.monitor.check()
        return dict(self.degraded.failing)

    def events(self, event: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.output.getvalue().splitlines()]
        return [line for line in lines if line["event"] == event]


def trail_at(now_ms: Callable[[], int], *sinks: FileSink) -> AuditTrail:
    return AuditTrail(sinks, required=False, clock=now_ms, on_failure=print, on_recovery=print)


def start_ms() -> int:
    return int(START.timestamp() * 1000)


async def test_a_certificate_is_warned_about_and_then_not_ready() -> None:
    watched = Watched(trail_at(start_ms), START + timedelta(days=14, seconds=2))
    assert await watched.after(1) == {}
    assert not watched.events("certificate expires")
    assert await watched.after(2) == {}
    (warning,) = watched.events("certificate expires")
    assert warning["level"] == "warning"
    assert "expires on 2026-12-11 at 12:00 UTC: renew it" in warning["problem"]
    days = timedelta(days=14).total_seconds()
    assert "expired on 2026-12-11" in (await watched.after(days))["certificate"]
    assert watched.reported[-1] == {"certificate"}
    assert len(watched.events("certificate expires")) == 1
    # A reload brought another.
    watched.not_after = START + timedelta(days=90)
    assert await watched.after(1) == {}
    assert watched.reported[-1] == set()


async def test_a_clock_that_steps_is_degraded_for_a_minute_and_ready() -> None:
    for step, words in ((3600, "set forward by 3600 s"), (-3600, "set back by 3600 s")):
        watched = Watched(trail_at(start_ms))
        assert await watched.after(1) == {}
        # NTP slews, and a machine that is busy checks late.
        assert await watched.after(10, wall=10.5) == {}
        assert words in (await watched.after(1, wall=1 + step))["clock"]
        assert words in (await watched.after(30))["clock"]
        assert watched.reported[-1] == set()
        assert await watched.after(31) == {}


async def test_a_clock_behind_the_newest_record_is_degraded(tmp_path: Path) -> None:
    def later() -> int:
        return start_ms() + 60_000

    path = tmp_path / "audit.jsonl"
    earlier = trail_at(later, FileSink(path, "never", "a" * 32))
    await earlier.record([{"event": "issued"}])
    earlier.close()
    trail = trail_at(start_ms, FileSink(path, "never", "b" * 32))
    watched = Watched(trail)
    assert "behind the newest audit record" in (await watched.after(1))["clock"]
    assert watched.reported[-1] == set()
    assert await watched.after(59) == {}
    trail.close()


async def test_the_head_of_the_trail_is_logged_once_a_minute(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    trail = trail_at(start_ms, FileSink(path, "never", "a" * 32))
    watched = Watched(trail)
    await trail.record([{"event": "issued"}, {"event": "issued"}])
    await watched.after(59)
    assert not watched.events("audit head")
    await watched.after(1)
    await watched.after(60)
    (head,) = watched.events("audit head")
    last = json.loads(path.read_text().splitlines()[-1])
    assert (head["seq"], head["hash"], head["chain"]) == (2, last["hash"], "a" * 32)
    await trail.record([{"event": "issued"}])
    await watched.after(60)
    assert [line["seq"] for line in watched.events("audit head")] == [2, 3]
    trail.close()
