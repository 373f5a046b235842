"""Reads the sources of all products side by side; one that fails or takes too long takes only its own series away."""

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from conf.connections import RedisConnection
from conf.settings import Settings
from jobs.export.experiments import ExperimentSource
from jobs.export.metrics import EXPORTER_METRICS, Source
from jobs.export.outcomes import OutcomeSource
from jobs.export.runs import RunSource
from jobs.export.samples import Readable, Sample, families
from jobs.export.serving import RedisSource
from jobs.runtime.log import log, log_step
from jobs.storage.store import Storage

SECONDS = 8.0
"""Longest scrape: Prometheus waits for ten seconds unless it is told otherwise."""


@dataclass
class _Attempt:
    """One reading, in a thread of its own."""

    over: threading.Event
    samples: Sequence[Sample] = ()
    fault: Exception | None = None
    seconds: float = 0.0
    is_late: bool = False
    """Whether a scrape has ended without it."""


class SourceReader:
    """Reads one source; a reading that hangs is waited for by none, and no second one is begun meanwhile."""

    def __init__(self, product: str, name: Source, source: Readable) -> None:
        self.product, self._name, self._source = product, name, source
        self._attempt: _Attempt | None = None
        self._errors = 0
        self._said: str | None = None

    def begin(self) -> None:
        """Starts a reading, unless the one before still hangs; what it will find is too old for anyone."""
        if self._attempt is None or self._attempt.over.is_set():
            self._attempt = attempt = _Attempt(threading.Event())
            threading.Thread(target=self._run, args=[attempt], name=f"{self._name} {self.product}", daemon=True).start()

    def result(self, deadline: float) -> Iterator[Sample]:
        """Yields what was read by then (time.monotonic), and how that went."""
        attempt = self._attempt
        assert attempt is not None
        in_time = not attempt.is_late and attempt.over.wait(max(0.0, deadline - time.monotonic()))
        if in_time:
            self._attempt, fault = None, attempt.fault
            text = None if fault is None else f"{type(fault).__name__}: {fault}"
        else:
            attempt.is_late, fault, text = True, None, "reading it takes too long"
        self._say(text)
        labels = {"source": self._name}
        yield Sample("discovery_export_source_up", float(text is None), labels)
        if in_time:
            yield Sample("discovery_export_source_seconds", attempt.seconds, labels)
        yield Sample("discovery_export_errors_total", self._errors, labels)
        yield from attempt.samples if text is None else self._source.without(fault)

    def _run(self, attempt: _Attempt) -> None:
        begun = time.monotonic()
        try:
            attempt.samples = tuple(self._source.read())
        except Exception as error:  # noqa: BLE001 - whatever it is, the other sources are there
            attempt.fault = error
        attempt.seconds = time.monotonic() - begun
        attempt.over.set()

    def _say(self, text: str | None) -> None:
        """Counts a fault, and logs it when it begins, changes and ends."""
        self._errors += text is not None
        if text is not None and text != self._said:
            log.warning("warning   %s: %s cannot be read: %s", self.product, self._name, text)
        elif text is None and self._said is not None:
            log_step("export", f"{self.product}: {self._name} can be read again")
        self._said = text


class Exporter(Collector):
    """The metrics of all products of an installation, read anew for each scrape."""

    def __init__(self, readers: Sequence[SourceReader], *, seconds: float = SECONDS) -> None:
        self._readers, self._seconds = readers, seconds
        self._one_at_a_time = threading.Lock()

    @classmethod
    def of(
        cls, products: Sequence[Settings], home: Storage, store: RedisConnection, *, seconds: float = SECONDS
    ) -> "Exporter":
        """Returns the exporter of these products."""
        readers = [
            SourceReader(settings.product, name, source)
            for settings in products
            for name, source in sources_of(settings, home, store).items()
        ]
        return cls(readers, seconds=seconds)

    def collect(self) -> Iterator[Family]:
        """Yields all families."""
        with self._one_at_a_time:
            deadline = time.monotonic() + self._seconds
            for reader in self._readers:
                reader.begin()
            found: dict[str, list[Sample]] = {}
            for reader in self._readers:
                found.setdefault(reader.product, []).extend(reader.result(deadline))
        yield from families(EXPORTER_METRICS, found)

    @property
    def registry(self) -> CollectorRegistry:
        """A registry with nothing else in it."""
        registry = CollectorRegistry()
        registry.register(self)
        return registry


def sources_of(settings: Settings, home: Storage, store: RedisConnection) -> dict[Source, Readable]:
    """Returns the sources of one product."""
    return {
        "redis": RedisSource(settings, store),
        "runs": RunSource(settings, home),
        "outcomes": OutcomeSource(settings, home),
        "experiments": ExperimentSource(settings, home),
    }
