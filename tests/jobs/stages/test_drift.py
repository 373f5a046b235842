"""A drift gate remembers what it saw and leaves a page, also when it stops the run."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from expectations.deadline import begin
from expectations.drift.findings import Excluded
from expectations.drift.history import Measured
from expectations.errors import GateFailed
from jobs.run.context import Run
from jobs.stages.drift import Past, Read, pass_drift_gate
from jobs.storage.drift import DriftStore
from tests.expectations.drift.weeks import AS_OF, NEW, ago, days
from tests.jobs.runs import RUN_ID, manifest_of, run_in

READ = Read({"clicks": ago(*range(1, 29))}, {"clicks": NEW}, {})
LOST = days(lambda day: 0.5 if day in NEW else 1.0)


def run_of(home: Path) -> Run:
    request = manifest_of().request.model_copy(update={"as_of": AS_OF, "overrides": {}})
    run, _ = run_in(home, request=request)
    run.begin_stage("features")
    return run


def exclude(run: Run, excluded: Sequence[dt.date]) -> DriftStore:
    store = DriftStore.of(run.home, "test")
    for day in excluded:
        at = dt.datetime(2026, 8, 3, tzinfo=dt.UTC)
        store.decide(Excluded(dataset="clicks", day=day, reason="half", by="anna", at=at))
    return store


def judged(run: Run, measured: Sequence[Measured] = LOST) -> object:
    return pass_drift_gate(run, "input_drift", Past.of(run), lambda: measured, READ, users=7)


def test_what_stops_a_run_is_on_its_page_and_remembered(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    with pytest.raises(GateFailed, match=r"clicks: events a day .* is usual"):
        judged(run)
    assert "Stopped. clicks: events a day" in run.folder.read_bytes("drift.html").decode()
    (alarm,) = DriftStore.of(run.home, "test").alarms()
    assert (alarm.run, alarm.days) == (RUN_ID, NEW)


def test_a_finding_says_which_one_it_is_of(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    noted = [replace(one, note="PL") if one.day == max(NEW) else one for one in LOST]
    with pytest.raises(GateFailed, match=r"events a day [\d,.]+ \(PL\)"):
        judged(run, noted)
    assert "(PL)" in run.folder.read_bytes("drift.html").decode()


def test_days_that_were_excluded_before_the_features_began_are_not_judged(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    exclude(run, NEW)
    summary = judged(run)
    assert isinstance(summary, dict)
    assert (summary["alarms"], len(summary["excluded"])) == ({}, 7)
    assert "is left out" in run.folder.read_bytes("drift.html").decode()


def test_days_that_were_excluded_amid_the_features_are_in_them_and_judged(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    assert run.excluded == ()
    exclude(run, NEW)
    with pytest.raises(GateFailed):
        judged(run)


def test_numbers_that_were_begun_earlier_and_fail_stop_the_run(tmp_path: Path) -> None:
    def lost() -> Sequence[Measured]:
        raise OSError("the partials are gone")

    run, begun = run_of(tmp_path), begin(lost)
    with pytest.raises(GateFailed, match="the partials are gone"):
        pass_drift_gate(run, "input_drift", Past.of(run), begun.result, READ, users=7)


def test_the_serving_model_is_judged_on_the_new_days(tmp_path: Path) -> None:
    def served(day: dt.date) -> Measured:
        return Measured("served", "served", "listed", day, 0.02 if day in NEW else 0.2, 500, f"of {day}")

    run, found = run_of(tmp_path), [served(one.day) for one in LOST]
    with pytest.raises(GateFailed, match="share of new engagements that were in the user's list"):
        judged(run, found)
    (alarm,) = DriftStore.of(run.home, "test").alarms()
    later = run_of(tmp_path / "later")  # it reads these days, too
    DriftStore.of(later.home, "test").keep_alarms("0.input_drift", [alarm])
    with pytest.raises(GateFailed, match="for 2 runs"):
        judged(later, found)


def test_what_the_runs_before_measured_and_this_one_could_not_is_named(tmp_path: Path) -> None:
    def served(day: dt.date) -> Measured:
        return Measured("served", "served", "listed", day, 0.2, 500, f"of {day}")

    run, usual = run_of(tmp_path), days()
    old = [served(one.day) for one in usual if one.day not in NEW]
    gone = Measured("events", "joins", "events", ago(8)[0], 1.0, 1.0, "")  # a dataset that is no longer read
    DriftStore.of(run.home, "test").keep("0.input_drift", [*usual[:-7], *old, gone])
    judged(run, usual[-7:])
    assert "this run could not measure it" in (page := run.folder.read_bytes("drift.html").decode())
    assert "joins" not in page
