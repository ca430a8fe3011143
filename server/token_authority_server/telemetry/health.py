"""Degraded components: reported in the log, the metrics and the health endpoints."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from token_authority_server.telemetry.log import Logger
from token_authority_server.telemetry.metrics import Metrics

Component = Literal["configuration", "limits", "audit", "jwks", "keys", "clock", "certificate"]


@dataclass(frozen=True, slots=True)
class _Fault:
    problem: str
    is_ours: bool
    """Whether only this instance has it, so that another replica should get the calls."""


class DegradedComponents:
    """Tracks degraded components. Any thread may report.

    A fault that every replica shares leaves the server ready: taking all replicas out of service
    would make it worse. A fault of this instance alone makes it not ready.
    """

    def __init__(self, logger: Logger, metrics: Metrics) -> None:
        self._logger = logger
        self._metrics = metrics
        self._lock = threading.Lock()
        self._faults: dict[str, _Fault] = {}
        for component in get_args(Component):
            metrics.degraded.labels(component).set(0)
        metrics.ready.set(1)

    @property
    def failing(self) -> Mapping[str, str]:
        """All faults, by component."""
        with self._lock:
            return {name: fault.problem for name, fault in self._faults.items()}

    @property
    def not_ready(self) -> Mapping[str, str]:
        """The faults that keep this instance from issuing tokens, by component."""
        with self._lock:
            return {name: fault.problem for name, fault in self._faults.items() if fault.is_ours}

    def fail(self, component: Component, problem: str, *, not_ready: bool = False) -> None:
        """Marks a component as degraded; logs it unless it is already, for the same reason.

        Args:
            component: The component.
            problem: What is wrong, for people.
            not_ready: Whether it is a fault of this instance alone, which makes it not ready.
        """
        fault = _Fault(problem, not_ready)
        with self._lock:
            if self._faults.get(component) == fault:
                return
            self._faults[component] = fault
            self._update(component)
        self._logger.error("degraded", component=component, problem=problem, ready=not not_ready)

    def recover(self, component: Component) -> None:
        """Marks a component as recovered, and logs it if it was degraded."""
        with self._lock:
            if self._faults.pop(component, None) is None:
                return
            self._update(component)
        self._logger.info("recovered", component=component)

    def _update(self, component: Component) -> None:
        self._metrics.degraded.labels(component).set(component in self._faults)
        self._metrics.ready.set(not any(fault.is_ours for fault in self._faults.values()))
