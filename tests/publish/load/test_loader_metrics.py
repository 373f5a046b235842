"""What a loader tells over HTTP, and how long it backs off."""

import urllib.error
import urllib.request

import pytest

from publish.load.back_off import BackOff
from publish.load.loader_metrics import LoaderMetrics, serve_metrics


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_health_and_counters_are_served() -> None:
    metrics = LoaderMetrics("groups")
    port = serve_metrics(metrics, 0, "127.0.0.1")
    assert get(port, "/health")[0] == 503
    metrics.set_healthy(healthy=True)
    metrics.loaded.inc(500)
    metrics.set_lag(3, 12)
    assert get(port, "/health") == (200, "healthy\n")
    status, text = get(port, "/metrics")
    assert status == 200
    assert 'discovery_loader_records_loaded_total{product="groups"} 500.0' in text
    assert 'discovery_loader_lag{partition="3",product="groups"} 12.0' in text


def test_waiting_doubles_up_to_ten_seconds_and_begins_anew_after_success() -> None:
    now = [0.0]
    back_off = BackOff(monotonic=lambda: now[0])
    assert back_off.is_over
    waits = [back_off.start() for _ in range(12)]
    assert waits[:3] == pytest.approx([0.2, 0.4, 0.8], rel=0.2)
    assert max(waits) <= 12
    assert not back_off.is_over
    now[0] += 12
    assert back_off.is_over
    back_off.reset()
    assert back_off.start() < 0.3
