"""Fixtures for every test."""

import os
import signal

# Before grpc is imported: it logs servers that stop on purpose.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

from collections.abc import AsyncGenerator, Generator

import pytest
from blockbuster import BlockBuster, blockbuster_ctx
from hypothesis import HealthCheck, settings

from support.machine import NEEDS, missing
from support.serving import Running, running

# How long an example takes depends on what else the machine does.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


# A shell starts background jobs with SIGINT ignored, which the commands that tests start inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Two processes per core for `-n auto`: most tests wait for a server or a clock."""
    return 2 * len(os.sched_getaffinity(0))


@pytest.fixture(autouse=True)
def never_block() -> Generator[BlockBuster]:
    """Fails a test in which our code blocks its event loop."""
    with blockbuster_ctx(
        scanned_modules=["token_authority_server", "token_authority_client"]
    ) as blocking:
        # A Unix socket is bound before the first call and removed after the last.
        for function in ("os.stat", "os.unlink"):
            blocking.functions[function].can_block_in("rpc/unix_socket.py", "held")
        # grpc joins its poller thread when its last channel is garbage-collected.
        blocking.functions["threading.Lock.acquire"].can_block_in(
            "threading.py", "_wait_for_tstate_lock"
        )
        yield blocking


@pytest.fixture
async def server() -> AsyncGenerator[Running]:
    """Runs a real server on a free port, with known keys and a fake clock."""
    async with running() as started:
        yield started


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out tests that need what this machine lacks."""
    left_out = [
        item for item in items if any(missing(mark.args[0]) for mark in item.iter_markers("needs"))
    ]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says which tests are left out on this machine."""
    for need in NEEDS:
        if reason := missing(need):
            terminalreporter.write_line(f"left out: tests that need {need} ({reason})")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fails a skipped test in CI: it has tested nothing."""
    report = yield
    if report.skipped and os.environ.get("CI"):
        report.outcome = "failed"
    return report
