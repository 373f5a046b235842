"""The drift gates: Great Expectations judges each finding, and the error says cause, users concerned and ways on."""

import datetime as dt

import pytest

from conf.gates import GateSettings
from expectations.drift.checks import DriftProfile, sentence
from expectations.drift.findings import Finding
from expectations.errors import GateFailed, OverrideRefused
from expectations.gate import check_drift
from expectations.overrides import check_overrides
from expectations.report import GateReport

DAYS = tuple(dt.date(2026, 11, 9) + dt.timedelta(days=i) for i in range(7))


def finding(name: str = "events", **other: object) -> Finding:
    fields: dict[str, object] = {
        "kind": "events",
        "subject": "clicks",
        "name": name,
        "mode": "block",
        "state": "ok",
        "p": 0.4,
        "value": 36_000.0,
        "expected": 35_000.0,
        "low": 30_100.0,
        "high": 41_000.0,
        "days": DAYS,
        "made_of": tuple("abcdefg"),
    }
    return Finding.model_validate({**fields, **other})


LOST = finding(state="alarm", p=1e-9, value=12_400.0)


def judged(*findings: Finding, overrides: dict[str, str] | None = None) -> GateReport:
    profile = DriftProfile(findings=findings, users=1_234_567, snapshots={"subscriptions": DAYS[-1]})
    return check_drift(
        "input_drift", lambda: profile, GateSettings(), overrides or {}, as_of=dt.date(2026, 11, 16), run="run 7"
    )


def failure(*findings: Finding) -> str:
    with pytest.raises(GateFailed) as caught:
        judged(*findings)
    return str(caught.value)


def test_what_is_within_its_limits_passes() -> None:
    report = judged(finding(), finding("users", state="learning", why="3 of 8 weeks"))
    assert report.passed
    assert {row.name: row.status for row in report.expectations} == {"clicks.events": "ok", "clicks.users": "skipped"}


def test_an_alarm_stops_the_run_and_says_how_to_go_on() -> None:
    text = failure(finding("users"), LOST)
    assert text.splitlines()[1].strip() == (
        "clicks: events a day 12,400 on the days 2026-11-09 to 2026-11-15, where 30,100 to 41,000 is usual"
    )
    for part in (
        "1,234,567 users",
        "discovery drift show run 7",
        "drift accept clicks.events",
        "exclude clicks 2026-11-09",
    ):
        assert part in text


def test_of_a_snapshot_its_partition_is_excluded() -> None:
    text = failure(
        finding("rows", kind="snapshot", subject="subscriptions", state="alarm", p=0.0, value=1.0, days=DAYS[:1])
    )
    assert f"exclude subscriptions {DAYS[-1]}" in text


def test_the_cause_comes_before_its_effects() -> None:
    lost = finding("rows", kind="snapshot", subject="subscriptions", state="alarm", p=1e-7, value=1.0)
    effect = finding("followed", state="alarm", p=1e-30, value=0.01, low=0.3, high=0.4)
    assert failure(effect, lost).splitlines()[1].startswith("  subscriptions: rows")


@pytest.mark.parametrize("scale", [("new_users", 0.25, "25.0 %"), ("events_per_user", 3.14159, "3.14")])
def test_values_are_written_as_people_write_them(scale: tuple[str, float, str]) -> None:
    name, value, text = scale
    assert text in sentence(finding(name, value=value, low=0.1, high=0.2))


def test_a_repeated_alarm_says_since_when() -> None:
    assert "for 3 runs, since run r1" in sentence(LOST.model_copy(update={"runs": 3, "since": "r1"}))


def test_a_warning_stops_nothing_and_is_reported() -> None:
    report = judged(LOST.model_copy(update={"mode": "warn"}))
    assert report.passed
    (row,) = report.expectations
    assert row.skipped is not None
    assert row.skipped.startswith("warning: clicks: events a day 12,400")


def test_an_override_lifts_one_statistic_once() -> None:
    assert judged(LOST, overrides={"clicks.events": "campaign"}).passed
    with pytest.raises(GateFailed):
        judged(LOST, finding("users", state="alarm", value=1.0), overrides={"clicks.events": "campaign"})


@pytest.mark.parametrize("name", ["clicks.events", "clicks.share_of_like", "lists.gini"])
def test_overrides_name_statistics(name: str) -> None:
    check_overrides({name: "because"})


def test_a_misspelt_statistic_is_refused_with_a_suggestion() -> None:
    with pytest.raises(OverrideRefused, match=r"clicks\.events"):
        check_overrides({"clicks.event": "because"})


def test_measuring_that_fails_fails_the_gate() -> None:
    def broken() -> DriftProfile:
        raise OSError("no such file")

    with pytest.raises(GateFailed, match="no such file"):
        check_drift("list_drift", broken, GateSettings(), {}, as_of=DAYS[0], run="run 7")


def test_a_report_survives_json() -> None:
    report = judged(finding(), LOST, overrides={"clicks.events": "campaign"})
    assert GateReport.from_json(report.to_json()) == report


def test_nothing_is_no_small_number() -> None:
    lost = finding("weakest_segment", value=1e-9, low=0.6, high=None).model_copy(update={"note": "PL"})
    assert "the lowest 0 (PL)" in sentence(lost)
