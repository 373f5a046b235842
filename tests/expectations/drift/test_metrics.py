"""Findings as metrics: ±1 is the limit on every scale, and every name is one that MLflow takes."""

import math

import pytest
from mlflow.utils.validation import _validate_metric_name

from expectations.drift.findings import Finding
from expectations.drift.metrics import deviation, drift_metrics
from expectations.drift.statistics import STATISTICS
from tests.expectations.drift.test_gate import finding


def on_a_log_scale(value: float, **other: object) -> Finding:
    return finding(value=value, expected=1000.0, low=500.0, high=2000.0, **other)


def share_of(event: str, value: float) -> Finding:
    return finding(f"share_of_{event}", value=value, expected=0.2, low=0.1, high=0.36)


@pytest.mark.parametrize(("value", "wanted"), [(1000, 0), (2000, 1), (500, -1), (4000, 2), (125, -3)])
def test_the_limit_is_one_to_both_sides(value: float, wanted: float) -> None:
    assert deviation(on_a_log_scale(value)) == pytest.approx(wanted)


def test_every_statistic_has_a_metric() -> None:
    for kind, name in STATISTICS:
        limits = {"value": 0.2, "expected": 0.1, "low": None, "high": 0.3}
        judged = Finding(kind=kind, subject=kind, name=name, mode="warn", state="ok", **limits)  # type: ignore[arg-type]
        assert len(drift_metrics([judged])) == 1, name


def test_a_share_is_measured_as_its_limits_are() -> None:
    low, expected, high = (1 / (1 + math.exp(-x)) for x in (-3, -2, -1))
    one = finding("new_users", value=1 / (1 + math.exp(0.5)), expected=expected, low=low, high=high)
    assert deviation(one) == pytest.approx(1.5)


def test_one_limit_measures_both_sides() -> None:
    assert deviation(on_a_log_scale(250).model_copy(update={"low": None})) == pytest.approx(-2)
    assert deviation(on_a_log_scale(250).model_copy(update={"high": None})) == pytest.approx(-2)


@pytest.mark.parametrize("unknown", [{"value": None}, {"expected": None}, {"low": None, "high": None}])
def test_without_a_limit_there_is_none(unknown: dict[str, None]) -> None:
    assert deviation(on_a_log_scale(250).model_copy(update=unknown)) is None
    assert deviation(finding(value=0.0, expected=0.0, low=0.0, high=0.0)) is None


@pytest.mark.parametrize("value", [0.0, 1e300])
def test_nothing_is_infinite(value: float) -> None:
    (found,) = drift_metrics([on_a_log_scale(value)]).values()
    assert math.isfinite(found)


def test_only_what_was_judged_is_a_metric() -> None:
    learning = on_a_log_scale(2000, name="users", state="learning")
    assert drift_metrics([on_a_log_scale(4000, state="alarm"), learning]) == {"drift.clicks.events": pytest.approx(2)}


@pytest.mark.parametrize("event", ["a b/c", "..", "/", "лайк", "a:b\n\0", "x" * 900, ""])
def test_every_name_is_legal(event: str) -> None:
    (name,) = drift_metrics([share_of(event, 0.3)])
    _validate_metric_name(name)
    assert len(name) <= 250


def test_of_names_that_become_the_same_the_worst_is_kept() -> None:
    assert drift_metrics([share_of("a/b", 0.9), share_of("a b", 0.1)]) == {
        "drift.clicks.share_of_a_b": pytest.approx(4.42, abs=0.01)
    }


def test_at_most_five_hundred_are_metrics_the_worst_ones() -> None:
    found = drift_metrics([share_of(str(i), i / 1000) for i in range(700)])
    assert len(found) == 500
    assert {"drift.clicks.share_of_0", "drift.clicks.share_of_699"} <= found.keys()
    assert "drift.clicks.share_of_200" not in found
