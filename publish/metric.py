"""What is said of a metric for Prometheus: one table makes the metric, its page, and checks of who uses it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Literal

PRODUCT = "product"
"""The label that every metric has."""


@dataclass(frozen=True)
class Metric:
    """A metric, as Prometheus' text format names it; a counter's name ends with `_total`."""

    name: str
    help: str
    """One sentence without its full stop; it says what the value is, and what no series means."""
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Label → all of its values, beside PRODUCT, whose values are the installation's."""
    kind: Literal["gauge", "counter", "histogram"] = "gauge"
    buckets: Sequence[float] = ()
    """Upper ends of a histogram's buckets."""

    @property
    def label_names(self) -> tuple[str, ...]:
        """Every label."""
        return PRODUCT, *self.labels

    @property
    def names(self) -> tuple[str, ...]:
        """The names that queries use: of a histogram three."""
        if self.kind == "histogram":
            return tuple(f"{self.name}_{part}" for part in ("bucket", "sum", "count"))
        return (self.name,)

    @property
    def most_series(self) -> int:
        """The most series that a product can have of it."""
        of_each = len(self.buckets) + 3 if self.kind == "histogram" else 1  # +Inf, sum and count
        return of_each * prod(len(values) for values in self.labels.values())
