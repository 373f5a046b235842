"""A real Prometheus that scraped a real exporter, loader and look-up service answers every query of the dashboards."""

import json
import math
import time
from collections.abc import Callable, Iterator

import pytest
import redis
from markupsafe import escape
from prometheus_client import CollectorRegistry, start_http_server

from conf.connections import RedisConnection
from deploy.monitoring.drawing.draw import Asker, draw
from deploy.monitoring.drawing.plots import Span
from deploy.monitoring.prometheus import Prometheus, PrometheusFailed
from deploy.servers.prometheus_server import PrometheusServer
from jobs.export.collect import Exporter
from jobs.storage.store import Storage
from publish.load.loader_metrics import LoaderMetrics
from tests.deploy.checks import wait_until
from tests.deploy.monitoring.asked import DASHBOARDS, Asked, queries
from tests.jobs.export.full import settings_of, write_all
from tests.jobs.export.test_metrics import looked_up
from tests.support.tools import tool

PRODUCT = "groups"  # of looked_up
SECONDS = 180.0


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> Iterator[Prometheus]:
    tool("prometheus")
    home = Storage(str(tmp_path_factory.mktemp("home")))
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()  # another test may have left a product of that name
        write_all(home, client, PRODUCT)
    store = RedisConnection.model_validate({"url": redis_url})
    exporter = Exporter.of([settings_of(PRODUCT)], home, store).registry
    served = [_serve(registry) for registry in (exporter, _loader(), looked_up())]
    with PrometheusServer(
        tmp_path_factory.mktemp("prometheus"), scraped=[port for port, _ in served], seconds=1.0
    ) as server:
        asked = Prometheus(server.url)
        # rates need two scrapes of every target
        _wait(asked, "count(count_over_time(up[1m]) >= 3) == 3 and on () count(discovery_run_period_seconds) == 1")
        yield asked
    for _, stop in served:
        stop()


@pytest.mark.parametrize("asked", [pytest.param(one, id=one.where) for one in queries()])
def test_every_query_has_an_answer(prometheus: Prometheus, asked: Asked) -> None:
    lookups = "discovery_lookup_" in asked.expr  # of which there were none between two scrapes

    def has_answer() -> bool:
        found = prometheus.at(asked.filled(PRODUCT, "1m"))
        return bool(found) and (lookups or not any(math.isnan(float(one["value"][1])) for one in found))

    wait_until(has_answer)  # a scrape that took too long takes all its series away until the next one


@pytest.mark.parametrize("name", DASHBOARDS)
def test_each_is_drawn(prometheus: Prometheus, name: str) -> None:
    def drawn() -> str:
        now = math.ceil(time.time())
        return draw(DASHBOARDS[name], Asker(prometheus, PRODUCT, Span(now - 60, now, 1, [now - 30])))

    wait_until(lambda: json.dumps(DASHBOARDS[name]).count('"timeseries"') <= drawn().count('class="plot"'))
    page = drawn()
    assert all(escape(panel["title"]) in page for panel in DASHBOARDS[name]["panels"])
    assert "<script" not in page
    assert "href" not in page


def test_a_query_that_is_refused_says_why(prometheus: Prometheus) -> None:
    with pytest.raises(PrometheusFailed, match="parse error"):
        prometheus.at("max by (")


def test_a_prometheus_that_is_away_is_named() -> None:
    with pytest.raises(PrometheusFailed, match="no Prometheus answers"):
        Prometheus("http://127.0.0.1:1").at("up")


def _loader() -> CollectorRegistry:
    metrics = LoaderMetrics(PRODUCT)
    metrics.set_healthy(healthy=True)
    metrics.set_lags([0, 3])
    return metrics.registry


def _serve(registry: CollectorRegistry) -> tuple[int, Callable[[], None]]:
    server, _ = start_http_server(0, "127.0.0.1", registry)
    return server.server_port, server.shutdown


def _wait(prometheus: Prometheus, query: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not prometheus.at(query):
        assert time.monotonic() < deadline, f"not true within {SECONDS:g} s: {query}"
        time.sleep(0.1)
