"""Building blocks of the metrics: children looked up once, values read at each scrape."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Generic, TypeAlias, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_ChildT = TypeVar("_ChildT", Counter, Gauge, Histogram)

Sample: TypeAlias = tuple[Sequence[str], float]
"""The values of the labels, and the value."""


class Children(Generic[_ChildT]):
    """A labelled metric that looks each child up once; a lookup by labels costs more than a count.

    For one thread.

    Args:
        metric: The metric with its labels.
    """

    def __init__(self, metric: _ChildT) -> None:
        self._metric: Any = metric
        self._children: dict[tuple[str, ...], _ChildT] = {}

    def at(self, *labels: str) -> _ChildT:
        """Returns the child with these values of the labels, in their order."""
        child = self._children.get(labels)
        if child is None:
            child = self._children[labels] = self._metric.labels(*labels)
        return child

    def keep(self, wanted: Callable[[tuple[str, ...]], bool]) -> None:
        """Removes the children whose labels are not wanted any more."""
        for labels in [labels for labels in self._children if not wanted(labels)]:
            del self._children[labels]
            self._metric.remove(*labels)


class ScrapedMetric(Collector):
    """A metric whose values are kept elsewhere and read at each scrape, in another thread.

    Args:
        name: Its name; without `_total`, which counters get.
        documentation: Its help text.
        labels: The names of its labels.
        is_counter: Whether it only grows; else it is a gauge.
        registry: Where it is exported.
    """

    def __init__(
        self,
        name: str,
        documentation: str,
        labels: Sequence[str] = (),
        *,
        is_counter: bool = False,
        registry: CollectorRegistry,
    ) -> None:
        self._family: Any = CounterMetricFamily if is_counter else GaugeMetricFamily
        self._name = name
        self._documentation = documentation
        self._labels: Final = tuple(labels)
        self._read: Callable[[], Iterable[Sample]] = tuple
        registry.register(self)

    def watch(self, read: Callable[[], float | None]) -> None:
        """Exports what a function returns; None: no sample."""

        def samples() -> Iterable[Sample]:
            value = read()
            return () if value is None else [((), value)]

        self._read = samples

    def watch_each(self, read: Callable[[], Iterable[Sample]]) -> None:
        """Exports a sample for each pair of labels and value that a function returns."""
        self._read = read

    def collect(self) -> Iterable[Metric]:
        """Reads the values."""
        family = self._family(self._name, self._documentation, labels=self._labels)
        for labels, value in self._read():
            family.add_metric(labels, value)
        yield family


class CallMetrics:
    """The metrics of one method's calls.

    Args:
        started: Counts calls, by method.
        duration: Durations in seconds, by method and status.
        method: `package.Service/Method`, or `other`: gRPC's names.
    """

    def __init__(
        self, started: Children[Counter], duration: Children[Histogram], method: str
    ) -> None:
        self._started = started.at(method)
        self._duration = duration
        self._method = method

    def start(self) -> None:
        """Counts a call that begins."""
        self._started.inc()

    def end(self, status: str, seconds: float) -> None:
        """Counts a call that has ended.

        Args:
            status: The name of its status code, e.g. "OK".
            seconds: How long it took.
        """
        self._duration.at(self._method, status).observe(seconds)
