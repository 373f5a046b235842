"""Reports: what they say to people, and that they survive JSON."""

import json

import pytest

from expectations.errors import GateFailed
from expectations.interactions import InteractionProfile
from expectations.lists import ListProfile
from expectations.report import GateReport, table
from tests.expectations.gates import gate_1, gate_2
from tests.expectations.profiles import interaction_profile, list_profile


def test_the_error_says_what_failed_and_what_to_do() -> None:
    with pytest.raises(GateFailed) as caught:
        gate_1(interaction_profile(max=500.0, duplicates=3))
    text = str(caught.value)
    assert "2 of 13 expectations failed (run r1, as of 2026-11-16); nothing is published" in text
    assert "FAILED  max_weight          500  at most 100" in text
    assert "No override can lift no_duplicates." in text
    assert "--override max_weight=REASON" in text
    assert "min_rows" not in text


def test_a_table_of_expectations_is_aligned() -> None:
    with pytest.raises(GateFailed) as caught:
        gate_1(interaction_profile(max=500.0), interaction_profile(users=150))
    assert [row.name for row in caught.value.report.failed] == ["max_weight"]
    assert sum(row.status == "ok" for row in caught.value.report.expectations) == 12
    columns, *rest = table(caught.value.report.expectations).splitlines()
    (first,) = (line for line in rest if "FAILED" in line)
    assert first.split() == ["FAILED", "max_weight", "500", "at", "most", "100"]
    assert {line.index("at ") for line in rest if " at " in line} == {columns.index("allowed")}
    assert any("33.3 % (users 150 → 100)" in line for line in rest)


def test_a_report_survives_json() -> None:
    passed = gate_1(interaction_profile(users=90), interaction_profile(), max_weight="unused")
    with pytest.raises(GateFailed) as caught:  # 0 → 20 sources is an infinite change, which JSON has no number for
        gate_1(interaction_profile(), interaction_profile(sources=0))
    for report in (passed, caught.value.report):
        assert GateReport.from_json(report.to_json()) == report
    assert isinstance(passed.profile, InteractionProfile)


def test_a_report_from_before_the_fallback_list_was_measured_is_a_baseline() -> None:
    written = json.loads(gate_2(list_profile()).to_json())
    del written["profile"]["fallback"]
    baseline = GateReport.from_json(json.dumps(written)).profile
    assert isinstance(baseline, ListProfile)
    assert baseline == list_profile(fallback=None)
    assert gate_2(list_profile(), baseline).passed


def test_lists_infinitely_better_than_the_popular_ones_pass() -> None:
    report = gate_2(list_profile(), list_profile(), quality_ratio=float("inf"))
    row = next(row for row in report.expectations if row.name == "min_quality_ratio")
    assert (row.status, row.observed, row.allowed, row.value) == ("ok", "infinite", "at least 1", None)
    assert GateReport.from_json(report.to_json()) == report
    json.loads(report.to_json(), parse_constant=pytest.fail)  # Python alone reads Infinity and NaN as JSON
