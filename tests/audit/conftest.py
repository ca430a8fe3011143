"""Fixtures for audit trails, which are opened and closed outside of a test's event loop."""

from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from audit.trails import CHAIN_ID, NewTrail, Reports
from token_authority_server.audit import AuditTrail, FileSink, FsyncPolicy, Sink


@pytest.fixture
def reports() -> Reports:
    return Reports()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


@pytest.fixture
def new_trail(path: Path, reports: Reports) -> Generator[NewTrail]:
    opened: list[AuditTrail] = []

    def new(
        *sinks: Sink, policy: FsyncPolicy = "never", required: bool = True, **options: Any
    ) -> AuditTrail:
        # A file is opened before there is an event loop; here one may be running.
        if not sinks:
            with ThreadPoolExecutor() as executor:
                sinks = (executor.submit(FileSink, path, policy, CHAIN_ID).result(),)
        trail = AuditTrail(
            sinks,
            required=required,
            clock=reports.clock,
            on_failure=reports.failures.append,
            on_recovery=lambda: reports.failures.append(""),
            **options,
        )
        opened.append(trail)
        return trail

    yield new
    for trail in opened:
        trail.close()


@pytest.fixture
def trail(new_trail: Callable[..., AuditTrail]) -> AuditTrail:
    """A trail that is required, on a file that is not synchronised."""
    return new_trail()
