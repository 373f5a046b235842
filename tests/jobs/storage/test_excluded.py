"""Days that operators excluded are left out of whatever is read, and named with who did it and why."""

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pytest

from conf.errors import Refused
from conf.settings import Settings
from conf.windows import Window
from expectations.drift.findings import Excluded
from features.errors import MissingDaysError, NotArrivedError, SnapshotError
from features.reading.dataset import DatasetPlan, enforce_policy, plan_dataset
from features.reading.snapshots import enforce_snapshot, plan_snapshot
from features.survey import survey_inputs
from jobs.reproduce.differences import input_differences
from jobs.run.dry_run import _row
from jobs.storage.datasets import open_catalog
from jobs.storage.drift import DriftStore
from jobs.storage.store import Storage
from tests.features.world import AS_OF, ago, events, settings
from tests.jobs.days import write_day
from tests.jobs.reproduce.test_reproduction import finished

NOW = dt.datetime(2026, 11, 16, 3, tzinfo=dt.UTC)


def excluded(dataset: str, day: dt.date, reason: str = "half is lost") -> Excluded:
    return Excluded(dataset=dataset, day=day, reason=reason, by="anna@host", at=NOW)


@pytest.fixture
def home(tmp_path: Path) -> Storage:
    """Three days of clicks and three snapshots of sources."""
    for days in (1, 2, 3):
        write_day(tmp_path / "data/clicks", ago(days), events(ago(days), (1, 2, "like")))
        write_day(tmp_path / "data/sources", ago(days), pa.table({"source_id": [2], "status": ["active"]}))
    return Storage(str(tmp_path))


def ours(**changes: object) -> Settings:
    clicks = {"path": "clicks", "window": "3 days ago:today", **changes}
    return settings(events={"clicks": clicks}, sources={"path": "sources", "max_age_days": 2})


def planned(home: Storage, wanted: Settings) -> DatasetPlan:
    window = Window.parse("3 days ago:today", AS_OF)
    return plan_dataset("clicks", wanted.datasets.events["clicks"], window, open_catalog(wanted, home))


def exclude(home: Storage, *some: Excluded, undone: bool = False) -> None:
    store = DriftStore.of(home, ours().product)
    for one in some:
        store.decide(one, undone=undone)


def test_an_excluded_day_is_no_missing_one(home: Storage) -> None:
    exclude(home, excluded("clicks", ago(2)), excluded("other", ago(1)), excluded("clicks", ago(90)))
    plan = planned(home, ours())
    assert [part.day for part in plan.found] == [ago(3), ago(1)]
    assert (plan.missing, plan.excluded) == ((), {ago(2): "by anna@host: half is lost"})
    assert plan.gaps == (ago(2),)
    exclude(home, excluded("clicks", ago(2)), undone=True)
    assert len(planned(home, ours()).found) == 3


def test_what_a_gap_means_is_what_an_excluded_day_means(home: Storage) -> None:
    exclude(home, excluded("clicks", ago(2)), excluded("clicks", ago(1), "twice"))
    policies: dict[str, tuple[type[Refused] | type[NotArrivedError], str]] = {
        "fail": (MissingDaysError, "set on_missing to wait or shrink"),
        "wait": (NotArrivedError, "Run again when they have arrived"),
    }
    for policy, (fault, remedy) in policies.items():
        wanted = ours(on_missing=policy)
        with pytest.raises(fault) as told:
            enforce_policy(planned(home, wanted), wanted.datasets.events["clicks"])
        assert f"2 excluded: {ago(2)} (by anna@host: half is lost), {ago(1)} (by anna@host: twice)." in str(told.value)
        undo = f"; discovery drift exclude clicks {ago(2)} {ago(1)} --undo once they are delivered again"
        assert str(told.value).endswith(remedy + undo)
    shrinking = ours(on_missing="shrink", max_missing_days=2)
    enforce_policy(planned(home, shrinking), shrinking.datasets.events["clicks"])


def test_a_snapshot_falls_back_to_the_newest_partition_that_is_not_excluded(home: Storage) -> None:
    wanted = ours()
    sources = wanted.datasets.sources
    assert sources is not None
    exclude(home, excluded("sources", ago(1)))
    catalog = open_catalog(wanted, home)
    plan = plan_snapshot("sources", sources, AS_OF, catalog)
    assert ([part.day for part in plan.found], [*plan.excluded]) == ([ago(2)], [ago(1)])
    enforce_snapshot(plan, sources, catalog)
    exclude(home, excluded("sources", ago(2)))
    catalog = open_catalog(wanted, home)
    with pytest.raises(SnapshotError, match=rf"excluded: {ago(2)}, {ago(1)} \(by anna@host: half is lost\)\. Let its"):
        enforce_snapshot(plan_snapshot("sources", sources, AS_OF, catalog), sources, catalog)


def test_a_dry_run_shows_them(home: Storage) -> None:
    exclude(home, excluded("clicks", ago(2)))
    *_, shown = _row(planned(home, ours()))
    assert shown.splitlines()[1:] == [f"excluded: {ago(2)} (by anna@host: half is lost)"]


def test_a_run_is_reproduced_with_the_exclusions_of_its_own_time(home: Storage) -> None:
    exclude(home, excluded("clicks", ago(2)), excluded("sources", ago(1)))
    wanted = ours()
    survey = survey_inputs(wanted, AS_OF, open_catalog(wanted, home))
    recorded = [
        {"name": plan.name, "days": [{"day": p.day, "fingerprint": p.fingerprint, "rows": p.rows} for p in plan.found]}
        for plan in survey.plans
    ]
    then = finished()
    facts = {"excluded": [excluded("clicks", ago(2)).model_dump(), excluded("sources", ago(1)).model_dump()]}
    features = then.stages["features"].model_copy(update={"facts": facts})
    exclude(home, excluded("clicks", ago(2)), excluded("sources", ago(1)), undone=True)
    exclude(home, excluded("clicks", ago(3)), excluded("sources", ago(2)))
    assert list(input_differences(recorded, wanted, then.with_stage("features", features), home)) == []
    assert list(input_differences(recorded, wanted, then, home))  # of older code, which left out nothing
