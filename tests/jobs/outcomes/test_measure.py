"""Days measured over files: landed answers, two event datasets, forgotten users, late events, a kill."""

import datetime as dt
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from pyspark.sql import SparkSession

from conf import contract
from conf.ids import arm_of
from jobs.exposures.state import State
from jobs.exposures.store import LandingStore
from jobs.outcomes import measure
from jobs.outcomes.measure import Measuring
from jobs.outcomes.plan import ListsGone, NotLanded
from jobs.outcomes.store import Record
from jobs.storage.erased import Erased
from jobs.storage.store import Storage
from models.outcomes.figures import incremental_hits
from publish.runs.history import History, HistoryEntry
from publish.runs.pointer import Pointer
from tests.features.world import AS_OF, EVENT_SCHEMA, ago, at, table
from tests.jobs.days import write_day
from tests.jobs.outcomes.shadowed import run_with_shadow_lists

DWELL = EVENT_SCHEMA.append(pa.field("seconds", pa.float64()))
PRODUCT: dict[str, Any] = {
    "product": "told",
    "data_root": "data",
    "datasets": {
        "events": {
            "clicks": {"path": "clicks", "window": "3 days ago:today"},
            "dwell": {"path": "dwell", "window": "3 days ago:today", "columns": {"weight": "seconds"}},
        },
        "sources": {"path": "sources", "success_marker": "_SUCCESS"},
    },
    "interactions": {"event_weights": {"like": 1.0, "watch": 0.0}, "half_life_days": 1.0},
    "outcomes": {"horizon_days": 2, "new_days": 2, "keep_current_days": 3, "shadow_share": 0.5},
}
FORGOTTEN = 3


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A product of which three days were answered; Kafka's part is told: who is forgotten, and the pointer."""
    (tmp_path / "product.yml").write_text(yaml.safe_dump(PRODUCT))
    monkeypatch.setenv("DISCOVERY_HOME", str(tmp_path))
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setattr(Erased, "read", lambda *_: Erased(frozenset({FORGOTTEN})))
    since = at(ago(9))
    pointer = Pointer.model_validate({"rev": 1, "treatment": "a", "salt": "s", "share_bp": 10_000, "since": since})
    history = History.of([HistoryEntry(pointer=pointer, reason="first", who=None)])
    monkeypatch.setattr(measure, "kept_history", lambda *_: history)
    for days in range(6, 0, -1):
        clicked(tmp_path, days)
        watched = [(user, 11, "watch", at(ago(days), 13), 0.1) for user in (1, FORGOTTEN)]
        write_day(tmp_path / "data/dwell", ago(days), table(DWELL, *watched))
    for days in (3, 2, 1):
        answered(tmp_path, days, (1, [10, 11]), (2, [10]), (FORGOTTEN, [10, 11]))
    known = pa.table({"source_id": [10, 11], "category": ["news", "sport"]})
    write_day(tmp_path / "data/sources", ago(6), known)
    landed_on(tmp_path, at(AS_OF, 6))
    return tmp_path


def clicked(home: Path, days: int, *more: Any) -> None:
    """Likes of source 10 at one o'clock."""
    likes = [(user, 10, "like", at(ago(days), 13)) for user in (2, FORGOTTEN)]
    write_day(home / "data/clicks", ago(days), table(EVENT_SCHEMA, *likes, *more))


def answered(home: Path, days: int, *lists: tuple[int, list[int]]) -> None:
    """Answers at noon, landed."""
    rows = [
        {"user_id": user, "ts": at(ago(days)), "surface": "feed", "arm": "treatment", "run": "a", "source_ids": held}
        for user, held in lists
    ]
    write_day(home / "exposures/told", ago(days), pa.Table.from_pylist(rows, contract.exposures("int64")))


def landed_on(home: Path, moment: dt.datetime) -> None:
    store = LandingStore.of(Storage(str(home)), "told")
    store.write_state(State(batch=1, landed_at=moment))


def measured(home: Path) -> list[Record]:
    """Measures as the entry does."""
    measuring = Measuring.open(home / "product.yml", (), ago(1))
    plan = measuring.plan()
    records = measuring.make(plan)
    measure.tell(plan, records)
    return records


def figures(home: Path, day: dt.date, by: str, value: str | None = None) -> dict[str, Any]:
    store = Measuring.open(home / "product.yml", (), day).store
    rows = store.table(store.records()[day]).to_pylist()
    (found,) = [row for row in rows if (row["by"], row["value"]) == (by, value)]
    return found


def content(home: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted((home / "outcomes").rglob("*.*"))}


def test_days_are_measured_kept_and_measured_again_when_late_events_come(
    spark: SparkSession, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = measured(home)
    assert [(record.day, record.mature, record.bases) for record in first] == [
        (ago(3), True, {"answered": 2}),
        (ago(2), False, {"answered": 2}),
        (ago(1), False, {"answered": 2}),
    ]
    assert [(then.treatment, then.share_bp) for then in first[0].served] == [("a", 10_000)]
    whole = figures(home, ago(3), "all")
    assert (whole["users"], whole["answers"], whole["places"], whole["hits"]) == (2, 2, 3, 1)
    assert (whole["first_hit_ms"], whole["events"], whole["new"]) == (3_600_000, 1, 0)
    assert figures(home, ago(3), "category", "news")["hits"] == 1
    watched = figures(home, ago(3), "event", "watch")
    assert (watched["events"], watched["amount"], watched["amount_listed"], watched["hits"]) == (1, 0.1, 0.1, 1)

    before = content(home)
    assert measured(home) == []
    for path in (home / "outcomes/told").rglob("_record.json"):
        path.unlink()  # as if it had been killed before every marker
    assert measured(home) == first
    assert content(home) == before

    clicked(home, 1, (1, 10, "like", at(ago(1), 15)))
    again = measured(home)
    assert [record.day for record in again] == [ago(3), ago(2), ago(1)], "it may belong to an answer of each of them"
    assert [record.sha256 == old.sha256 for record, old in zip(again, first, strict=True)] == [True, True, False]
    whole = figures(home, ago(1), "all")
    assert (whole["hits"], whole["new"], whole["new_listed"]) == (2, 1, 1)

    landed_on(home, at(ago(0), 0) - dt.timedelta(hours=1))
    (home / f"exposures/told/dt={ago(1)}/_SUCCESS").unlink()
    with pytest.raises(NotLanded):
        measured(home)


def served_in_part(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a serves user 1 of the first four, and has shadow lists: of user 2, and the fallback list for user 4."""
    salt = next(f"s{i}" for i in range(99) if arm_of(1, f"s{i}") < 5_000 <= min(arm_of(u, f"s{i}") for u in (2, 3, 4)))
    run_with_shadow_lists(home, "told", "a", {2: [10, 11], FORGOTTEN: [10]}, salt, {1: [10, 11]})
    pointer = {"rev": 1, "treatment": "a", "salt": salt, "share_bp": 5_000, "since": at(ago(9))}
    history = History.of([HistoryEntry(pointer=Pointer.model_validate(pointer), reason="first", who=None)])
    monkeypatch.setattr(measure, "kept_history", lambda *_: history)


def test_hits_on_shadow_lists_stand_beside_those_of_the_control(
    spark: SparkSession, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served_in_part(home, monkeypatch)
    for days in (3, 2, 1):
        clicked(home, days, (4, 11, "like", at(ago(days), 14)))
        asked = [(1, "treatment", "a", [10, 11]), *((user, "control", None, []) for user in (2, FORGOTTEN, 4))]
        names = ("user_id", "arm", "run", "source_ids")
        rows = [dict(zip(names, one, strict=True), ts=at(ago(days)), surface="feed") for one in asked]
        write_day(home / "exposures/told", ago(days), pa.Table.from_pylist(rows, contract.exposures("int64")))

    first = measured(home)[-1]
    assert (first.bases, first.shadow) == ({"answered": 3}, {"a": True})
    found = {row["arm"]: row for row in rows_of(home, ago(1)) if row["by"] == "all"}
    assert found.keys() == {"treatment", "control", "shadow"}
    assert (found["shadow"]["run"], found["shadow"]["users"], found["shadow"]["hits"]) == ("a", 2, 2)
    assert (found["control"]["run"], found["control"]["users"], found["control"]["hits"]) == (None, 2, 0)
    made = incremental_hits(rows_of(home, ago(1)))
    assert made is not None
    assert (made.treatment, made.shadow, made.user_days, made.shadow_user_days) == (0, 1, 1, 2)

    shutil.rmtree(home / "runs/told/a")
    clicked(home, 1, (4, 11, "like", at(ago(1), 14)), (1, 10, "like", at(ago(1), 15)))
    again = measured(home)[-1]
    assert (again.bases, again.shadow) == ({"answered": 3}, {"a": None})
    assert {row["arm"] for row in rows_of(home, ago(1))} == {"treatment", "control"}


def test_where_nobody_knows_what_was_answered_lists_count_as_given_each_morning(
    spark: SparkSession, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(home / "exposures/told")
    served_in_part(home, monkeypatch)
    clicked(home, 1, (1, 11, "like", at(ago(1), 15)), (2, 11, "like", at(ago(1), 16)))
    last = measured(home)[-1]
    assert (last.bases, last.shadow) == ({"listed": 1}, {"a": True})
    found = {row["arm"]: row for row in rows_of(home, ago(1)) if row["by"] == "all"}
    assert {row["basis"] for row in found.values()} == {"listed"}
    assert {arm: (row["run"], row["users"], row["hits"]) for arm, row in found.items()} == {
        "treatment": ("a", 1, 1),
        "shadow": ("a", 1, 2),
    }
    assert found["treatment"]["first_hit_ms"] == 15 * 3_600_000
    made = incremental_hits(rows_of(home, ago(1)))
    assert made is not None
    assert made.difference.value == -1

    shutil.rmtree(home / "runs/told/a")
    clicked(home, 1)
    with pytest.raises(ListsGone, match="the folder of run a, whose lists count as given on"):
        measured(home)


def rows_of(home: Path, day: dt.date) -> list[dict[str, Any]]:
    store = Measuring.open(home / "product.yml", (), day).store
    return store.table(store.records()[day]).to_pylist()
