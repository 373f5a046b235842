"""Metrics of the service for Prometheus; with several processes each counts into a file that all of them read."""

import os
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from publish.metric import Metric
from publish.serve.shared_counts import SHARED

_SECONDS = Metric(
    "discovery_lookup_seconds",
    "Time of a look-up request; outcome: the kind of its answer, ok for a batch, refused (4xx) or failed (5xx)",
    {"route": ("list", "batch"), "outcome": ("list", "fallback", "control", "none", "ok", "refused", "failed")},
    "histogram",
    (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5),
)
_ANSWERS = Metric(
    "discovery_lookup_answers_total",
    "Users who were answered, by the kind of their answer",
    {"kind": ("list", "fallback", "control", "none")},
    "counter",
)
_PROBLEMS = Metric(
    "discovery_lookup_problems_total",
    "Requests, and users of a batch, without an answer, by the word that they got",
    {
        "word": (
            *("bad_body", "bad_exclude", "bad_lookup", "bad_method", "bad_n", "bad_parameter", "bad_request"),
            *(
                "bad_surface",
                "bad_token",
                "bad_user",
                "internal",
                "overloaded",
                "redis",
                "too_long",
                "too_many",
                "too_slow",
            ),
            *("unavailable", "unreadable"),
        )
    },
    "counter",
)
_EXPOSURES = Metric(
    "discovery_lookup_exposures_total",
    "Answers by what became of them in the exposure log: logged, delivered, or why dropped",
    {"what": ("logged", "delivered", "queue_full", "not_acknowledged", "malformed", "closed")},
    "counter",
)
_POINTER_AGE = Metric(
    "discovery_lookup_pointer_age_seconds",
    "Time since the pointer was read, of the oldest process; above 5 Redis is away, and every look-up fails",
)
_IN_FLIGHT = Metric("discovery_lookup_in_flight", "Requests that are being answered")

LOOKUP_METRICS = (_SECONDS, _ANSWERS, _PROBLEMS, _EXPOSURES, _POINTER_AGE, _IN_FLIGHT)
"""All metrics of the look-up service."""


@runtime_checkable
class ExposureCounts(Protocol):
    """What an exposure log counts."""

    @property
    def logged(self) -> int:
        """Answers so far."""

    @property
    def delivered(self) -> int:
        """Answers that the broker has acknowledged."""

    @property
    def dropped(self) -> Mapping[str, int]:
        """Answers that were not delivered, by reason."""


class ServeMetrics:
    """What one process counts."""

    def __init__(self, product: str) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self._product = product
        self._seconds = Histogram(
            _SECONDS.name, _SECONDS.help, _SECONDS.label_names, buckets=_SECONDS.buckets, registry=self._registry
        )
        self._answers, self._problems = self._counter(_ANSWERS), self._counter(_PROBLEMS)
        self._exposures = self._counter(_EXPOSURES)
        self._pointer_age, self._in_flight = self._gauge(_POINTER_AGE, "livemax"), self._gauge(_IN_FLIGHT, "livesum")
        self._timers: dict[tuple[str, str], Histogram] = {}
        self._counters: dict[tuple[Counter, str], Counter] = {}
        self._told: dict[str, int] = {}

    def observe(self, route: str, outcome: str, seconds: float) -> None:
        """Counts one request."""
        timer = self._timers.get((route, outcome))
        if timer is None:
            timer = self._timers[route, outcome] = self._seconds.labels(self._product, route, outcome)
        timer.observe(seconds)

    def count_answer(self, kind: str) -> None:
        """Counts one user who was answered."""
        self._add(self._answers, kind, 1)

    def count_problem(self, word: str) -> None:
        """Counts one request, or one user of a batch, without an answer."""
        self._add(self._problems, word, 1)

    def set_state(self, pointer_age: float | None, in_flight: int, exposures: ExposureCounts | None) -> None:
        """Takes over what others count; called about once a second, and before the metrics are shown."""
        if pointer_age is not None:
            self._pointer_age.set(pointer_age)
        self._in_flight.set(in_flight)
        if exposures is not None:
            now = {"logged": exposures.logged, "delivered": exposures.delivered, **exposures.dropped}
            for what, number in now.items():
                self._add(self._exposures, what, number - self._told.get(what, 0))
            self._told = now

    def text(self) -> bytes:
        """Returns the metrics of all processes in Prometheus' text format."""
        if SHARED not in os.environ:
            return generate_latest(self._registry)
        everybody = CollectorRegistry()
        MultiProcessCollector(everybody)  # type: ignore[no-untyped-call]
        return generate_latest(everybody)

    def _add(self, counter: Counter, label: str, number: int) -> None:
        child = self._counters.get((counter, label))
        if child is None:
            child = self._counters[counter, label] = counter.labels(self._product, label)
        child.inc(number)

    def _counter(self, metric: Metric) -> Counter:
        return Counter(metric.name, metric.help, metric.label_names, registry=self._registry)

    def _gauge(self, metric: Metric, mode: str) -> Gauge:
        gauge = Gauge(
            metric.name,
            metric.help,
            metric.label_names,
            registry=self._registry,
            multiprocess_mode=mode,  # type: ignore[arg-type]
        )
        return gauge.labels(self._product)
