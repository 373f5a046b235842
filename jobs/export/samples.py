"""Values of metrics, and how they become families of Prometheus' client."""

import datetime as dt
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.core import Metric as Family

from conf.windows import midnight
from publish.metric import PRODUCT, Metric


@dataclass(frozen=True)
class Sample:
    """One value."""

    name: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)
    """Without the product."""


Samples = Iterator[Sample]


class Readable(ABC):
    """A source of one product."""

    @abstractmethod
    def read(self) -> Samples:
        """Yields what there is; raises where it cannot be read."""

    def without(self, fault: Exception | None) -> Samples:
        """Yields what is to be said where it could not be read: nothing. fault: None where it took too long."""
        yield from ()


def at(name: str, moment: dt.datetime | None, **labels: str) -> Samples:
    """Yields a time, if it is known."""
    if moment is not None:
        yield Sample(name, moment.timestamp(), labels)


def known(name: str, value: float | None, **labels: str) -> Samples:
    """Yields a value, if it is known."""
    if value is not None:
        yield Sample(name, float(value), labels)


def end_of(day: dt.date) -> dt.datetime:
    """Returns the end of a day, in UTC."""
    return midnight(day + dt.timedelta(days=1))


def families(metrics: Sequence[Metric], samples: Mapping[str, Iterable[Sample]]) -> Iterator[Family]:
    """Yields a family for each metric that has values; samples: by product.

    Only labels of the table become series, so that nothing in a record can make more of them. Raises KeyError for a
    metric that is not in the table.
    """
    table = {metric.name: metric for metric in metrics}
    found: dict[str, dict[tuple[str, ...], float]] = {name: {} for name in table}
    for product, some in samples.items():
        for one in some:
            metric = table[one.name]
            if all(one.labels[label] in values for label, values in metric.labels.items()):
                found[one.name][product, *(one.labels[label] for label in metric.labels)] = one.value
    for name, series in found.items():
        if series:
            yield _family(table[name], series)


def _family(metric: Metric, series: Mapping[tuple[str, ...], float]) -> Family:
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family = kind(metric.name, metric.help, labels=(PRODUCT, *metric.labels))
    for labels, value in series.items():
        family.add_metric(labels, value)
    return family
