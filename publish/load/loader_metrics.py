"""Metrics of a loader for Prometheus, and its health check."""

import threading
from collections.abc import Iterable
from wsgiref.simple_server import WSGIRequestHandler, make_server
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from prometheus_client import CollectorRegistry, Counter, Gauge, make_wsgi_app


class LoaderMetrics:
    """Counters and gauges of one loader, in their own registry."""

    def __init__(self, product: str) -> None:
        self.registry = CollectorRegistry()
        self._product = product
        self.loaded = self._counter("records_loaded", "Lists stored in Redis, repeated ones included")
        self.fenced = self._counter("records_fenced", "Records of runs that were over")
        self.dead_letters = self._counter("dead_letters", "Records moved to the dead-letter topic")
        self.faults = self._counter("faults", "Times that Redis or Kafka made the loader back off")
        self._healthy = self._gauge("healthy", "1 while Redis and Kafka do their part, else 0", [])
        self._lag = self._gauge("lag", "Records between Redis' position and the end of the partition", ["partition"])

    @property
    def is_healthy(self) -> bool:
        """Whether the last turn of the loader succeeded."""
        value = self.registry.get_sample_value("discovery_loader_healthy", {"product": self._product})
        return value == 1.0

    def _counter(self, name: str, help_text: str) -> Counter:
        metric = Counter(f"discovery_loader_{name}", help_text, ["product"], registry=self.registry)
        return metric.labels(self._product)

    def _gauge(self, name: str, help_text: str, labels: Iterable[str]) -> Gauge:
        return Gauge(f"discovery_loader_{name}", help_text, ["product", *labels], registry=self.registry)

    def set_healthy(self, *, healthy: bool) -> None:
        """Records whether the last turn succeeded."""
        self._healthy.labels(self._product).set(float(healthy))

    def set_lag(self, partition: int, records: int) -> None:
        """Records by how many records a partition is behind."""
        self._lag.labels(self._product, str(partition)).set(records)


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
