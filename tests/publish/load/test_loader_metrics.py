"""What a loader tells over HTTP, and how long it backs off."""

import urllib.error
import urllib.request

from publish.load.loader import seconds_to_wait
from publish.load.loader_metrics import LoaderMetrics, serve_metrics


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=180) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_health_and_counters_are_served() -> None:
    metrics = LoaderMetrics("groups")
    port = serve_metrics(metrics, 0, "127.0.0.1")
    assert get(port, "/health")[0] == 503
    metrics.set_healthy(healthy=True)
    metrics.loaded.inc(500)
    metrics.set_lags([0, 12, 5])
    assert get(port, "/health") == (200, "healthy\n")
    status, text = get(port, "/metrics")
    assert status == 200
    assert 'discovery_loader_records_loaded_total{product="groups"} 500.0' in text
    assert 'discovery_loader_lag_records{product="groups"} 17.0' in text
    assert 'discovery_loader_worst_lag_records{product="groups"} 12.0' in text


def test_waiting_doubles_up_to_ten_seconds_however_often_it_fails() -> None:
    for failures, longest in enumerate([0.2, 0.4, 0.8, 1.6, 3.2, 6.4, *[10] * 2_000]):
        waits = [seconds_to_wait(failures) for _ in range(20)]
        assert longest / 2 <= min(waits) < max(waits) <= longest
