"""The weeks of an experiment over files: made as they end, again when late events come, and deleted in the end."""

import datetime as dt
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from pyspark.sql import SparkSession

from conf import contract
from conf.experiment import Experiment, PinnedRecipe
from conf.ids import arm_of
from conf.ramp import RampSettings
from features.errors import MissingDaysError, SnapshotError
from jobs.cli.views import experiment as view
from jobs.experiments.store import ExperimentStore
from jobs.experiments.weeks import (
    DamagedSums,
    ShareThen,
    SumsRecord,
    WeekOfSums,
    WeekStore,
    arms_by_week,
    forget_weeks,
    notes_on,
)
from jobs.exposures.state import State
from jobs.exposures.store import LandingStore
from jobs.outcomes import measure, weeks
from jobs.outcomes.measure import Measuring
from jobs.outcomes.weeks import measure_weeks, tell_weeks, weeks_of
from jobs.storage.erased import Erased
from jobs.storage.store import Storage
from models.experiment.moments import Moments, Slice
from publish.runs.history import History, HistoryEntry
from publish.runs.pointer import Pointer
from tests.features.world import AS_OF, EVENT_SCHEMA, ago, at, table
from tests.jobs.days import write_day
from tests.jobs.experiments.measured import week_of

PRODUCT: dict[str, Any] = {
    "product": "told",
    "data_root": "data",
    "datasets": {
        "events": {"clicks": {"path": "clicks", "window": "3 days ago:today"}},
        "audience": {"path": "audience", "success_marker": "_SUCCESS"},
    },
    "interactions": {"event_weights": {"like": 1.0}, "half_life_days": 1.0},
    "outcomes": {"horizon_days": 2, "new_days": 2},
}
FIRST = ago(14)
USERS = range(1, 9)
FORGOTTEN, LATE, SALT = 3, 8, "salt"


def experiment(**changes: Any) -> Experiment:
    """An experiment of two weeks until AS_OF."""
    tree = {
        "product": "told",
        "name": "bigger",
        "opened": at(ago(15)),
        "first_day": FIRST,
        "salt": SALT,
        "control": "none",
        "treatment": PinnedRecipe(hash=_hash(), recipe={}),
    }
    return Experiment.model_validate({**tree, **changes})


def _hash() -> str:
    from conf.digest import digest_of_json

    return digest_of_json({})


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two weeks at 25 and 50 %, in which everybody is answered and likes a source once a day; no run has a folder."""
    (tmp_path / "product.yml").write_text(yaml.safe_dump(PRODUCT))
    monkeypatch.setenv("DISCOVERY_HOME", str(tmp_path))
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    forget(monkeypatch)
    changes = [(1, ago(30), "earlier", 10_000), (2, FIRST, SALT, 2_500), (3, ago(7), SALT, 5_000)]
    pointers = [
        Pointer.model_validate({"rev": rev, "treatment": "a", "salt": salt, "share_bp": share, "since": at(day, 0)})
        for rev, day, salt, share in changes
    ]
    history = History.of([HistoryEntry(pointer=pointer, reason="r", who=None) for pointer in pointers])
    monkeypatch.setattr(measure, "kept_history", lambda *_: history)
    for days in range(17, 0, -1):
        clicked(tmp_path, days)
        rows = [
            {
                "user_id": user,
                "ts": at(ago(days), 9),
                "surface": "feed",
                "run": "a",
                "source_ids": [10],
                "arm": "control",
            }
            for user in USERS
            if user != LATE or days <= 7
        ]
        write_day(tmp_path / "exposures/told", ago(days), pa.Table.from_pylist(rows, contract.exposures("int64")))
    for day, users in ((FIRST, USERS[:-1]), (ago(7), USERS)):
        write_day(tmp_path / "data/audience", day, pa.table({"user_id": [*users, 99]}))
    LandingStore.of(Storage(str(tmp_path)), "told").write_state(State(batch=1, landed_at=at(AS_OF, 6)))
    store_of(tmp_path).add(experiment())
    return tmp_path


def forget(monkeypatch: pytest.MonkeyPatch, *users: int) -> None:
    monkeypatch.setattr(Erased, "read", lambda *_: Erased(frozenset(users)))


def clicked(home: Path, days: int, *more: Any) -> None:
    """Likes of a source, another one each day."""
    likes = [(user, 10 + days % 3, "like", at(ago(days), 13)) for user in USERS if user != LATE or days <= 7]
    write_day(home / "data/clicks", ago(days), table(EVENT_SCHEMA, *likes, *more))


def store_of(home: Path) -> ExperimentStore:
    return ExperimentStore.of(Storage(str(home)), "told")


def measured(home: Path, day: dt.date) -> list[SumsRecord]:
    """Measures weeks as the entry does after the figures of a day."""
    found = measure_weeks(Measuring.open(home / "product.yml", (), day))
    tell_weeks(found)
    return found


def moments(home: Path, record: SumsRecord, metric: str) -> dict[Slice, Moments]:
    return WeekStore.of(store_of(home), "bigger").moments(record, [metric]).get(metric, {})


def total(home: Path, record: SumsRecord, metric: str) -> dict[str, float]:
    """Sums over all slices."""
    first, *others = moments(home, record, metric).values()
    whole = sum(others, first)
    return {"n": whole.n, **dict(zip(whole.variables, whole.total.tolist(), strict=True))}


def split(share: int, places: list[int]) -> tuple[int, int]:
    """How many of these are treated, and how many are not."""
    treated = sum(place < share for place in places)
    return treated, len(places) - treated


def test_weeks_are_made_as_they_end_and_deleted_when_the_experiment_has(
    spark: SparkSession, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert measured(home, ago(9)) == [], "week 1 is not over"
    (first,) = measured(home, ago(8))
    assert [(week.number, week.share_bp, week.audience) for week in first.weeks] == [
        (0, None, "that of any week"),
        (1, 2_500, f"snapshot of {FIRST}"),
    ]
    assert total(home, first, "events") == {"n": 8, "a0": 8, "x0": 21, "a1": 8, "x1": 49}
    assert (total(home, first, "hits")["x1"], total(home, first, "seen")["x1"]) == (14, 7)
    assert sum(one.first_seen[1] for one in first.slices) == 7
    places = [arm_of(user, SALT) for user in (*USERS[:-1], 99)]
    for part, one in moments(home, first, "answers").items():
        assert one.n == sum(part.low_bp <= place < part.high_bp for place in places)
    assert measured(home, ago(8)) == measured(home, ago(5)) == []

    clicked(home, 10, (1, 77, "like", at(ago(10), 15)))
    forgotten = iter([Erased(frozenset())])
    late = Erased(frozenset({FORGOTTEN}))
    monkeypatch.setattr(Erased, "read", lambda *_: next(forgotten, late))  # while the pass is under way
    (second,) = measured(home, ago(1))
    assert [(week.number, week.share_bp) for week in second.weeks[1:]] == [(1, 2_500), (2, 5_000)]
    whole = total(home, second, "events")
    assert (whole["n"], whole["a1"], whole["x1"], whole["a2"], whole["x2"]) == (8, 7, 43, 8, 49)
    products = moments(home, second, "events")
    cross = sum(one.products[one.variables.index("x1"), one.variables.index("x2")] for one in products.values())
    assert cross == 8 * 7 + 5 * 7 * 7, "each user's weeks, not the weeks of all"
    assert [sum(one.first_seen[week] for one in second.slices) for week in (1, 2)] == [6, 1]
    assert forget_weeks(store_of(home), {FORGOTTEN}) == 0, "the pass has looked for them when it had written"
    for path in (home / "experiments/told/bigger/weeks").rglob("*.parquet"):
        assert FORGOTTEN not in pq.read_table(path)["user_id"].to_pylist()
    size = (home / "experiments/told/bigger/sums/week-02" / second.file).stat().st_size
    assert size / len(second.metrics) / 2 < 50_000
    assert notes_on(second) == []
    seen, joined = (arms_by_week(second, counts) for counts in ("first_seen", "joined"))
    places = {user: arm_of(user, SALT) for user in (*USERS, 99) if user != FORGOTTEN}
    assert seen == [
        (2_500, *split(2_500, [place for user, place in places.items() if user not in (LATE, 99)])),
        (5_000, *split(5_000, [places[LATE]])),
    ]
    assert [one.treated + one.control for one in joined] == [7, 1]

    shown = view.status(experiment(), store_of(home))
    assert f"weeks      2 measured, up to {ago(1)}, {len(second.metrics)} metrics" in shown.text
    store_of(home).close(experiment(), at(AS_OF, 0), "enough")
    (home / "experiments/told/bigger/sums/week-02/_record.json").unlink()  # as if it had been killed before the marker
    (last,) = measured(home, ago(1))
    assert (last.sha256, last.final) == (second.sha256, True), "the same bytes"
    assert not (home / "experiments/told/bigger/weeks").exists()
    assert measured(home, ago(1)) == []
    (home / "experiments/told/bigger/sums/week-02" / last.file).write_bytes(b"")
    with pytest.raises(DamagedSums, match=r"restore it from a copy$"):
        WeekStore.of(store_of(home), "bigger").table(last)


def test_what_is_missing_is_said_before_anything_is_read(home: Path) -> None:
    (home / f"data/audience/dt={FIRST}/_SUCCESS").unlink()
    with pytest.raises(SnapshotError, match="audience"):
        measured(home, ago(8))
    (home / f"data/audience/dt={FIRST}/_SUCCESS").touch()
    for path in (home / f"data/clicks/dt={ago(10)}").iterdir():
        path.unlink()
    (home / f"data/clicks/dt={ago(10)}").rmdir()
    with pytest.raises(MissingDaysError, match=str(ago(10))):
        measured(home, ago(8))
    assert not (home / "experiments/told/bigger/sums").exists()


def test_weeks_end_with_the_experiment() -> None:
    assert [week.number for week in weeks_of(experiment(), ago(2))] == [0, 1]
    assert [week.last for week in weeks_of(experiment(), ago(1))] == [ago(15), ago(8), ago(1)]
    assert [week.number for week in weeks_of(experiment(closed=at(ago(3)), reason="r"), ago(1))] == [0, 1]
    assert [week.number for week in weeks_of(experiment(first_day=AS_OF), ago(1))] == [0]


def test_slices_are_cut_at_the_steps_of_the_ramp_and_at_every_share_there_was() -> None:
    def edges(ramp: RampSettings | None, *shares: tuple[int, bool]) -> list[int]:
        then = [
            ShareThen(since=at(FIRST, 0), until=None, treatment="a", control=None, share_bp=share, ours=ours)
            for share, ours in shares
        ]
        week = week_of(1, None, served=tuple(then))
        return [one.high_bp for one in weeks.slices_of(ramp, [week])]

    own = RampSettings.model_validate({"steps": [2, 10, 30]})
    assert edges(own) == [200, 1_000, 3_000, 10_000]
    assert edges(own, (1_000, True), (1_500, True), (4_000, False)) == [200, 1_000, 1_500, 3_000, 10_000]
    assert edges(None, (1_500, True)) == [100, 500, 1_500, 2_500, 5_000, 9_500, 10_000]


@pytest.mark.parametrize(
    ("served", "share", "note"),
    [
        ([(0, None, True, "a", 0)], 0, "nobody was treated"),
        ([(0, None, True, "a", 10_000)], 10_000, "there is no control"),
        ([(0, None, False, "a", 2_500)], None, "no run of the experiment served"),
        (
            [(0, 2, True, "a", 500), (2, None, True, "a", 2_500)],
            2_500,
            "week 1: the share was 5 % for 2 days, then 25 % for 5 days; counted as 25 %",
        ),
        (
            [(0, 6, True, "a", 2_500), (6, None, True, None, 2_500)],
            2_500,
            "was 25 % for 6 days, then 0 % for 1 day; counted as 25 %",
        ),
        (
            [(-9, 3, True, "a", 500), (3, 6, True, "a", 0), (6, None, True, "a", 500)],
            500,
            "was 5 % for 3 days, then 0 % for 3 days, then",
        ),
        ([(-9, 3 / 24, True, "a", 500), (3 / 24, None, True, "a", 2_500)], 2_500, "was 5 % for 3 h, then 25 % for 6.9"),
        ([(-9, 1, True, "a", 2_500), (1, None, True, "b", 2_500)], 2_500, None),
        ([], None, "no run of the experiment served"),
    ],
)
def test_the_share_of_a_week_is_the_one_that_held_longest(served: Any, share: int | None, note: str | None) -> None:
    span = weeks.Window(FIRST, ago(7))
    rows = [
        {
            "since": at(FIRST, 0) + dt.timedelta(days=since),
            "until": None if until is None else at(FIRST, 0) + dt.timedelta(days=until),
            "treatment": run,
            "control": None,
            "share_bp": share_bp,
            "salt": SALT if ours else "other",
        }
        for since, until, ours, run, share_bp in served
    ]
    then: tuple[ShareThen, ...] = tuple(weeks.then(row, SALT, span) for row in rows)
    assert weeks.longest(then, span) == share
    week = WeekOfSums(
        number=1,
        first=FIRST,
        last=ago(8),
        through=ago(8),
        mature=True,
        new_is_known=True,
        basis="answered",
        audience="",
        served=then,
        share_bp=share,
    )
    one = SumsRecord(
        product="told",
        experiment="bigger",
        salt=SALT,
        inputs="",
        weeks=(week.model_copy(update={"number": 0}), week),
        slices=(),
        metrics=(),
        categories_left_out=0,
    )
    several = [said for said in notes_on(one) if "the share was" in said]
    assert any(note in said for said in notes_on(one)) if note is not None else several == []
