"""What is not as it should be, though the server serves: said in log, metrics and health detail."""

from collections.abc import Mapping
from typing import Literal, get_args

from structlog.typing import FilteringBoundLogger

from token_authority_server.telemetry.metrics import Metrics

Component = Literal["configuration", "limits", "audit", "jwks"]


class DegradedComponents:
    """The state of each component. Any thread may report."""

    def __init__(self, logger: FilteringBoundLogger, metrics: Metrics) -> None:
        self._logger = logger
        self._metrics = metrics
        self._failing: dict[str, str] = {}
        for component in get_args(Component):
            metrics.degraded.labels(component).set(0)

    @property
    def failing(self) -> Mapping[str, str]:
        """What is wrong, by component; empty when nothing is."""
        return dict(self._failing)

    def fail(self, component: Component, problem: str) -> None:
        """Something is wrong; said again only if it is something else."""
        if self._failing.get(component) != problem:
            self._failing[component] = problem
            self._metrics.degraded.labels(component).set(1)
            self._logger.error("degraded", component=component, problem=problem)

    def recover(self, component: Component) -> None:
        """It is well again."""
        if self._failing.pop(component, None) is not None:
            self._metrics.degraded.labels(component).set(0)
            self._logger.info("recovered", component=component)
