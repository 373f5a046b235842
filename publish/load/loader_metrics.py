"""Metrics of a loader for Prometheus, and its health check."""

import threading
from collections.abc import Collection, Iterable
from wsgiref.simple_server import WSGIRequestHandler, make_server
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics, make_wsgi_app

from publish.metric import Metric

_LOADED = Metric(
    "discovery_loader_records_loaded_total", "Lists stored in Redis, repeated ones included", kind="counter"
)
_FENCED = Metric("discovery_loader_records_fenced_total", "Records of runs that were over", kind="counter")
_DEAD = Metric("discovery_loader_dead_letters_total", "Records moved to the dead-letter topic", kind="counter")
_FAULTS = Metric("discovery_loader_faults_total", "Times that Redis or Kafka made the loader back off", kind="counter")
_HEALTHY = Metric("discovery_loader_healthy", "1 while Redis and Kafka do their part, else 0")
_PARTITIONS = Metric("discovery_loader_partitions", "Partitions of the topic that this loader loads")
_LAG = Metric("discovery_loader_lag_records", "Records between Redis' positions and the ends of its partitions")
_WORST_LAG = Metric("discovery_loader_worst_lag_records", "The same, of the partition that is most behind")

LOADER_METRICS = (_LOADED, _FENCED, _DEAD, _FAULTS, _HEALTHY, _PARTITIONS, _LAG, _WORST_LAG)
"""All metrics of a loader."""


class LoaderMetrics:
    """Counters and gauges of one loader, in their own registry."""

    def __init__(self, product: str) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._product = product
        self.loaded = self._counter(_LOADED)
        self.fenced = self._counter(_FENCED)
        self.dead_letters = self._counter(_DEAD)
        self.faults = self._counter(_FAULTS)
        self._healthy, self._partitions = self._gauge(_HEALTHY), self._gauge(_PARTITIONS)
        self._lag, self._worst_lag = self._gauge(_LAG), self._gauge(_WORST_LAG)

    @property
    def is_healthy(self) -> bool:
        """Whether the last turn of the loader succeeded."""
        return self.registry.get_sample_value(_HEALTHY.name, {"product": self._product}) == 1.0

    def _counter(self, metric: Metric) -> Counter:
        return Counter(metric.name, metric.help, metric.label_names, registry=self.registry).labels(self._product)

    def _gauge(self, metric: Metric) -> Gauge:
        return Gauge(metric.name, metric.help, metric.label_names, registry=self.registry).labels(self._product)

    def set_healthy(self, *, healthy: bool) -> None:
        """Records whether the last turn succeeded."""
        self._healthy.set(float(healthy))

    def set_lags(self, records: Collection[int]) -> None:
        """Records by how many records each partition of this loader is behind."""
        self._partitions.set(len(records))
        self._lag.set(sum(records))
        self._worst_lag.set(max(records, default=0))


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Logs nothing: a scrape every few seconds is not worth a line."""


def serve_metrics(metrics: LoaderMetrics, port: int, host: str = "0.0.0.0") -> int:
    """Serves `/metrics` and `/health` (200 or 503) on a thread; returns the port; port 0 takes a free one."""
    prometheus: WSGIApplication = make_wsgi_app(metrics.registry)

    def application(environment: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        if environment.get("PATH_INFO") != "/health":
            return prometheus(environment, start)
        healthy = metrics.is_healthy
        start("200 OK" if healthy else "503 Service Unavailable", [("Content-Type", "text/plain")])
        return [b"healthy\n" if healthy else b"backing off\n"]

    server = make_server(host, port, application, handler_class=_Quiet)
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server.server_port
