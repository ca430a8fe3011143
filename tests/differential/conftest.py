"""Prints the seed of a run, so that the run can be repeated."""

import pytest

from differential.drawing import SEED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.write_line(f"DIFFERENTIAL_SEED={SEED}")
