"""What is measured of days: the same as pandas finds, however it is stored; and what it can see."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sf

from conf.ids import IdKind
from expectations.drift import user_sample
from expectations.drift.history import Measured
from expectations.drift.measure_past import measure_past
from expectations.drift.numbers import top_share
from expectations.drift.statistics import statistic
from features.hash_columns import hash_column, hash_limit
from tests.expectations.drift_world import AS_OF, USERS, World, catalog, settings, world
from tests.features.fakes import FakePartials
from tests.features.world import ago

Values = Mapping[tuple[str, str, int], float]
"""Dataset, statistic, day since the first → value."""
NEW = range(28, 35)
OF_WEEK = {"returning_users", "returning_sources", "returning_pairs", "users_elsewhere"}
OF_SNAPSHOTS = {"weakest_segment", "users_subscribed", "followed", "unknown_sources", "closed_sources"}


def measured(
    spark: SparkSession, made: World, ids: IdKind = "int64", lost: Any = None, **clicks: Any
) -> list[Measured]:
    """The numbers of the days of a world."""
    found, _ = measure_past(catalog(spark, made, ids, lost or {}), settings(made, ids, **clicks), AS_OF)
    return [one for one in found if one.kind == "events"]


def values(found: Collection[Measured]) -> Values:
    """The values by dataset, statistic and day."""
    by_day = {(one.subject, one.name, 35 - (AS_OF - one.day).days): one.value for one in found}
    assert len(by_day) == len(found), "each number once"
    return by_day


def named(found: Values, name: str, dataset: str = "clicks") -> list[float]:
    """Values of one statistic, oldest day first."""
    return [value for key, value in sorted(found.items()) if key[:2] == (dataset, name)]


def top(counts: "pd.Series[int]", share: float) -> float:
    """Part of the largest, one by one."""
    left, total = share * len(counts), 0.0
    for count in sorted(counts, reverse=True):
        total += count * max(0.0, min(1.0, left))
        left -= 1
    return float(total / counts.sum())


def by_pandas(made: World) -> Iterator[tuple[tuple[str, str, int], float]]:
    """Every value, found from the raw events."""
    for name, frame in made.events.items():
        for day in NEW:
            for statistic_, value in of_day(frame, day):
                yield (name, statistic_, day), value
            for statistic_, value in of_week(made, name, day):
                yield (name, statistic_, day), value
        for statistic_, value in beside_snapshots(made, frame, 34):
            yield (name, statistic_, 34), value


def of_day(frame: pd.DataFrame, day: int) -> Iterator[tuple[str, float]]:
    now, past = frame[frame.day == day], frame[(frame.day < day) & (frame.day >= day - 28)]
    yield "events", len(now)
    for event in sorted(frame.event.unique()):
        yield f"share_of_{event}", (now.event == event).mean()
    per_user, per_source = now.groupby("user_id").size(), now.groupby("source_id").size()
    yield "users", len(per_user)
    yield "events_per_user", per_user.mean()
    yield "heaviest_users", top(per_user, 0.01)
    yield "busiest_tenth", top(per_user, 0.1)
    yield "largest_user", per_user.max() / per_user.mean()
    yield "sources", len(per_source)
    yield "heaviest_sources", top(per_source, 0.01)
    yield "largest_source", per_source.max() / len(now)
    yield "repeats", len(now) / len(now[["user_id", "source_id"]].drop_duplicates())
    yield "new_users", (~per_user.index.isin(past.user_id)).mean()
    yield "new_sources", (~now.source_id.isin(past.source_id)).mean()
    last = frame.groupby(["day", "user_id", "source_id", "event"]).hour.max().reset_index()
    hours = pd.crosstab(last.day, last.hour, normalize="index")
    usual = hours.loc[day - 28 : day - 8].mean()
    yield "hours_moved", (hours.loc[day] - usual).abs().sum() / 2


def of_week(made: World, name: str, day: int) -> Iterator[tuple[str, float]]:
    def week(back: int, frame: pd.DataFrame) -> pd.DataFrame:
        return frame[(frame.day <= day - 7 * back) & (frame.day > day - 7 * back - 7)]

    frame = made.events[name]
    for column, called in (("user_id", "returning_users"), ("source_id", "returning_sources")):
        now, *weeks = ({*week(back, frame)[column]} for back in range(4))
        regular = set.intersection(*weeks)
        if regular:
            yield called, len(regular & now) / len(regular)
    pairs, *before = ({*zip(part.user_id, part.source_id, strict=True)} for part in (week(b, frame) for b in range(4)))
    yield "returning_pairs", len(pairs & set.union(*before)) / len(pairs)
    others = pd.concat([other for key, other in made.events.items() if key != name])
    others = others[(others.day <= day) & (others.day > day - 28)]
    yield "users_elsewhere", week(0, frame).user_id.drop_duplicates().isin(others.user_id).mean()


def beside_snapshots(made: World, frame: pd.DataFrame, last: int) -> Iterator[tuple[str, float]]:
    now = frame[(frame.day > last - 7) & (frame.day <= last)]
    follows = made.snapshots["subscriptions"]
    yield "users_subscribed", now.user_id.drop_duplicates().isin(follows.user_id).mean()
    yield "followed", now.merge(follows.assign(f=1), "left", on=["user_id", "source_id"]).f.notna().mean()
    status = now.source_id.map(made.snapshots["sources"].set_index("source_id").status)
    yield "unknown_sources", status.isna().mean()
    yield "closed_sources", (status == "closed").mean()
    of_segment = made.snapshots["audience"].set_index("user_id").segment
    now, past = frame[frame.day > 27], frame[(frame.day > 6) & (frame.day < 28)]
    shares = [part.user_id.drop_duplicates().map(of_segment).value_counts(normalize=True) for part in (now, past)]
    yield "weakest_segment", (shares[0] / shares[1]).min()


@pytest.mark.parametrize("ids", ["int64", "string"])
def test_every_number_is_the_one_that_pandas_finds(spark: SparkSession, ids: IdKind) -> None:
    found = measured(spark, world(), ids)
    expected = dict(by_pandas(world()))
    assert values(found).keys() == expected.keys()
    for key, value in values(found).items():
        rel = 0.06 if key[1] in ("users", "events_per_user") else 1e-9  # users are estimated
        assert value == pytest.approx(expected[key], rel=rel), key
    names = {one.name for one in found}
    assert {*OF_WEEK, *OF_SNAPSHOTS} < names
    for one in found:
        known = statistic("events", one.name)
        assert known is not None
        assert one.n > 0
        assert np.isfinite(known.to_scale(one.value, one.n))
    made_of = {one.made_of for one in found if one.name == "users"}
    assert len(made_of) == 14, "of each day its own fingerprint"
    assert made_of.isdisjoint({one.made_of for one in found if one.name in OF_WEEK | OF_SNAPSHOTS})


def test_weights_and_unusable_and_ignored_rows_are_measured_where_there_may_be_any(spark: SparkSession) -> None:
    made = world()
    clicks = made.events["clicks"]
    clicks.loc[clicks.index % 50 == 0, "weight"] = np.nan
    kept = clicks[(clicks.event == "like") & clicks.weight.notna()]
    more = {"columns": {"weight": "weight"}, "bad_row_budget": 0.2, "ignore_events": ("share",)}
    found = values(measured(spark, made, **more))
    assert named(found, "amount") == pytest.approx(kept[kept.day >= 28].groupby("day").weight.mean().to_list())
    largest = kept[kept.day >= 28].groupby(["day", "user_id", "source_id"]).weight.sum().groupby("day").max()
    assert named(found, "largest_amount") == largest.to_list()
    days = clicks[clicks.day >= 28].groupby("day")
    assert named(found, "ignored") == days.event.apply(lambda event: (event == "share").mean()).to_list()
    bad = (clicks.event == "like") & clicks.weight.isna()
    assert named(found, "dropped") == bad[clicks.day >= 28].groupby(clicks.day).mean().to_list()
    assert not {"amount", "largest_amount", "dropped", "ignored"} & {key[1] for key in found if key[0] == "joins"}


def test_what_needs_the_past_is_left_out_where_too_little_is_known(spark: SparkSession) -> None:
    lost = {"clicks": {*range(3, 14), 31}}
    found = values(measured(spark, world(), lost=lost))
    assert {day for name, _, day in found if name == "clicks"} == {*NEW} - {31}
    assert not {"returning_users", "returning_sources", "returning_pairs"} & {
        key[1] for key in found if key[0] == "clicks"
    }
    past = {key[2] for key in found if key[:2] == ("clicks", "new_users")}
    assert past == {day for day in NEW if day != 31 and len({*range(day - 28, day)} - lost["clicks"]) >= 21}
    assert named(found, "users_elsewhere")
    assert not named(found, "users_elsewhere", "joins"), "too little is known of clicks"
    assert named(found, "returning_users", "joins")


def test_a_day_that_is_missing_in_the_week_hides_returning_users_only(spark: SparkSession) -> None:
    found = values(measured(spark, world(), lost={"clicks": {31}}))
    assert not named(found, "returning_users")[3:]
    assert len(named(found, "returning_users")) == 3, "of the weeks before that day"
    assert len(named(found, "returning_pairs")) == 6
    assert named(found, "followed")


def test_one_dataset_alone(spark: SparkSession) -> None:
    made = world()
    alone = World({"clicks": made.events["clicks"]}, {})
    found = values(measured(spark, alone))
    assert not {key[1] for key in found} & (OF_SNAPSHOTS | {"users_elsewhere"})
    expected = {key: value for key, value in by_pandas(made) if key[0] == "clicks" and key[1] not in OF_SNAPSHOTS}
    assert found.keys() == {key for key in expected if key[1] != "users_elsewhere"}


def test_a_catalogue_without_status_has_no_closed_sources(spark: SparkSession) -> None:
    made = world()
    made.snapshots = {"sources": made.snapshots["sources"][["source_id"]]}
    found = values(measured(spark, made))
    assert named(found, "unknown_sources")
    assert not named(found, "closed_sources")


def test_numbers_do_not_depend_on_partitions(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    more = {"columns": {"weight": "weight"}}
    before = measured(spark, world(), **more)
    read = FakePartials.read

    def scattered(*args: Any) -> DataFrame:
        return read(*args).repartition(5)

    monkeypatch.setattr(FakePartials, "read", scattered)
    assert measured(spark, world(), **more) == before


def test_a_sample_is_of_the_users_and_sources_with_the_smallest_hashes(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = world()
    monkeypatch.setattr(user_sample, "MOST_EVENTS", 1000)
    monkeypatch.setattr(user_sample, "MOST_ROWS", 100)
    found = values(measured(spark, made))
    ids = spark.range(USERS).select("id", hash_column(sf.col("id")).alias("hash")).toPandas()

    def part(frame: pd.DataFrame, column: str, share: float) -> pd.DataFrame:
        return frame[frame[column].isin(ids.id[ids.hash <= hash_limit(share)])]

    def only(shares: Mapping[str, float], sources: float = 1.0) -> Values:
        events = {
            name: part(part(frame, "user_id", shares[name]), "source_id", sources)
            for name, frame in made.events.items()
        }
        return dict(by_pandas(replace(made, events=events)))

    shares = {name: 1000 / len(frame) for name, frame in made.events.items()}
    expected, full = only(shares), dict(by_pandas(made))
    for name in ("heaviest_users", "largest_user", "repeats", "new_users", "hours_moved", "returning_pairs", "sources"):
        assert named(found, name) == pytest.approx(named(expected, name)), name
    for name in ("events", "share_of_like"):
        assert named(found, name) == named(full, name), name
    smaller = dict.fromkeys(shares, min(shares.values()))
    assert named(found, "users_elsewhere", "joins") == pytest.approx(named(only(smaller), "users_elsewhere", "joins"))
    followers = dict.fromkeys(shares, min(shares["clicks"], 100 / len(made.snapshots["subscriptions"])))
    assert named(found, "followed") == pytest.approx(named(only(followers), "followed"))
    catalogue = len(made.snapshots["sources"])
    assert named(found, "closed_sources") == pytest.approx(named(only(shares, 100 / catalogue), "closed_sources"))


def test_users_mixed_up_within_days_leave_counts_and_end_pairs(spark: SparkSession) -> None:
    made = world()
    clicks = made.events["clicks"]
    new = clicks.day >= 28
    mixed = clicks.copy()
    mixed.loc[new, "user_id"] = clicks[new].groupby("day").user_id.transform(lambda ids: ids.map(_mixed(ids)))
    found = values(measured(spark, replace(made, events={**made.events, "clicks": mixed})))
    before = dict(by_pandas(made))
    for name in ("events", "sources", "largest_source", "heaviest_users", "repeats", "share_of_like", "new_users"):
        assert named(found, name) == pytest.approx(named(before, name)), name
    for name in ("returning_pairs", "followed"):
        assert named(found, name)[-1] < 0.6 * named(before, name)[-1], name


def _mixed(ids: "pd.Series[int]") -> dict[int, int]:
    users = np.unique(ids)
    return dict(zip(users, np.random.default_rng(1).permutation(users), strict=True))


def test_a_country_that_is_lost_from_the_audience_too_is_seen(spark: SparkSession) -> None:
    made = world()
    audience, clicks = made.snapshots["audience"], made.events["clicks"]
    gone = audience.user_id[audience.segment == "A"]
    clicks = clicks[(clicks.day < 28) | ~clicks.user_id.isin(gone)]
    left = {"audience": audience[~audience.user_id.isin(gone)]}
    for snapshots, which in ((made.snapshots, "A"), (left, "users whom the audience lacks")):
        found = measured(spark, World({"clicks": clicks}, snapshots))
        assert [(one.value, one.note) for one in found if one.name == "weakest_segment"] == [(0, which)]


def test_what_happened_after_a_snapshot_is_not_compared_with_it(spark: SparkSession) -> None:
    made = world()
    found, _ = measure_past(catalog(spark, made, age=4), settings(made), AS_OF)
    got = values([one for one in found if one.name in OF_SNAPSHOTS])
    assert {day for _, _, day in got} == {34}
    for name, value in beside_snapshots(made, made.events["clicks"], 31):
        assert named(got, name) == pytest.approx([value]), name


def test_fourteen_new_days_are_two_weeks(spark: SparkSession) -> None:
    made = world()
    found, _ = measure_past(catalog(spark, made), settings(made), AS_OF, days=14)
    one, _ = measure_past(catalog(spark, made), settings(made), AS_OF)
    newest = [number for number in found if number.day >= ago(7)]
    assert newest == one
    assert {number.day for number in found if number.name == "events"} == {ago(back) for back in range(1, 15)}


def test_the_largest_part_of_a_size_counts_in_part() -> None:
    assert top_share({10: 1, 1: 90}, 0.01) == pytest.approx(0.91 * 10 / 100)
    assert top_share({3: 4}, 0.5) == 0.5
