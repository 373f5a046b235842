"""Each corruption on a small world: what it changes, that nothing else does, and that a seed gives the same bytes."""

import datetime as dt
import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.drift.corruptions import CORRUPTIONS, EVENTS, SNAPSHOTS, Corruption, PlantError, Week, plant
from deploy.demo.tastes import World
from deploy.demo.world import generate

_WORLD = World(users=800, sources=240, days=49, events=50_000, seed=5, newcomers=0.1)
_AS_OF = _WORLD.as_of
_WEEK = {str(_AS_OF - dt.timedelta(days=ago)) for ago in range(1, 8)}
_SURE = {"weights_times_ten", "weights_tiny"}
"""Those that draw nothing; others without a draw are told by their names."""
_WITHOUT_DRAW = ("shifted", "doubled", "swapped", "hour", "repeated", "replayed", "late", "content", "not_exported")
_WITHOUT_DRAW += ("called_active", "owners_null", "country", "event_name_lost", *_SURE)


class Folder:
    """The datasets of a world's newest week."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __getitem__(self, dataset: str) -> pd.DataFrame:
        """The rows of the week, with their day."""
        return Week(self.root, _AS_OF).table(dataset).to_pandas()

    def ids(self, column: str, *datasets: str) -> set[object]:
        """The ids of the week."""
        return set().union(*(self[name][column] for name in datasets))


@pytest.fixture(scope="session")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small world with weights in its reactions, and events of its last two weeks."""
    return _world(tmp_path_factory.mktemp("clean") / "data", _WORLD)


@pytest.fixture(scope="session")
def string_clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with string ids."""
    return _world(tmp_path_factory.mktemp("clean") / "data", replace(_WORLD, ids="string"))


def _world(folder: Path, world: World) -> Path:
    generate(folder, world)
    for name in EVENTS:
        for day in sorted((folder / name).iterdir())[:-14]:
            shutil.rmtree(day)
    for file in (folder / "reactions").rglob("*.parquet"):
        table = pq.ParquetFile(file).read()
        pq.write_table(table.append_column("weight", pa.array(np.linspace(1, 3, len(table)))), file)
    return folder


def _tree(folder: Path) -> dict[str, os.stat_result]:
    return {str(path.relative_to(folder)): path.stat() for path in folder.rglob("*") if path.is_file()}


def _digests(folder: Path) -> dict[str, str]:
    """Digests of the files that are no links to another folder."""
    files = (path for path in folder.rglob("*.parquet") if path.stat().st_nlink == 1)
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_only_its_datasets_change_and_only_in_the_newest_week(clean: Path, tmp_path: Path, name: str) -> None:
    before = _tree(clean)
    one, again, other = (tmp_path / folder for folder in ("one", "again", "other"))
    for out, seed in ((one, 1), (again, 1), (other, 2)):
        plant(clean, out, name, _AS_OF, seed)
    after, corruption = _tree(one), CORRUPTIONS[name]
    assert {file: (stat.st_ino, stat.st_mtime_ns) for file, stat in _tree(clean).items()} == {
        file: (stat.st_ino, stat.st_mtime_ns) for file, stat in before.items()
    }
    changed = {file for file in before if file not in after or after[file].st_ino != before[file].st_ino}
    assert after.keys() <= before.keys()
    assert changed
    touched = {file.split("/")[0] for file in changed}
    assert touched <= set(corruption.datasets) <= {*EVENTS, *SNAPSHOTS}
    if corruption.needs != "weight":
        assert touched == set(corruption.datasets)
    if not name.endswith("_not_exported"):
        assert {file.split("/")[1].removeprefix("dt=") for file in changed} <= _WEEK
        assert all(file.endswith(".parquet") for file in changed)
        schemas = (pq.read_schema(root / file) for file in changed for root in (clean, one))
        assert all(old == new for old, new in zip(schemas, schemas, strict=True))
    assert _digests(again) == _digests(one)
    drawn = not any(word in name for word in _WITHOUT_DRAW)
    assert (_digests(other) != _digests(one)) == drawn


def test_every_corruption_says_what_it_is() -> None:
    assert all(name == corruption.name and name.isidentifier() for name, corruption in CORRUPTIONS.items())
    assert all(corruption.what.endswith(".") and corruption.kind for corruption in CORRUPTIONS.values())
    assert len({corruption.what for corruption in CORRUPTIONS.values()}) == len(CORRUPTIONS)
    assert set(_CHECKS) == set(CORRUPTIONS)


# What each changes: (clean week, corrupted week, one dataset at fault) → whether it is so


def _left(old: Folder, new: Folder, dataset: str) -> float:
    return len(new[dataset]) / len(old[dataset])


def _left_ids(column: str, old: Folder, new: Folder, *datasets: str) -> float:
    return len(new.ids(column, *datasets)) / len(old.ids(column, *datasets))


def _near(value: float, expected: float, within: float = 0.03) -> bool:
    return abs(value - expected) <= within


def _subset(old: Folder, new: Folder, dataset: str) -> bool:
    """Whether the rows that are left are as they were."""
    rows = [pd.util.hash_pandas_object(folder[dataset].drop(columns="dt"), index=False) for folder in (old, new)]
    return bool(rows[1].isin(rows[0]).all())


def _in_another_order(column: str) -> "Check":
    """The values are the same, and where they are is not."""

    def check(old: Folder, new: Folder, dataset: str) -> bool:
        before, after = old[dataset], new[dataset]
        same = before.drop(columns=column).equals(after.drop(columns=column))
        moved = (before[column] != after[column]).mean() > 0.8
        return same and moved and sorted(before[column]) == sorted(after[column])

    return check


def _shifted(column: str) -> "Check":
    return lambda old, new, dataset: (
        list(new[dataset][column]) == [*old[dataset][column][-1:], *old[dataset][column][:-1]]
    )


def _renamed(column: str, *, known: bool) -> "Check":
    """Each id has one new name, and no two have the same."""

    def check(old: Folder, new: Folder, dataset: str) -> bool:
        before, after = old[dataset][column], new[dataset][column]
        names = pd.DataFrame({"old": before, "new": after}).drop_duplicates()
        one_to_one = names["old"].is_unique and names["new"].is_unique
        return one_to_one and set(after).issubset(before) == known and (before != after).mean() > 0.9

    return check


def _ids_left(column: str, share: float, *datasets: str) -> "Check":
    return lambda old, new, dataset: (
        _near(_left_ids(column, old, new, *(datasets or [dataset])), share) and _subset(old, new, dataset)
    )


def _rows_left(share: float, within: float = 0.03) -> "Check":
    return lambda old, new, dataset: _near(_left(old, new, dataset), share, within) and _subset(old, new, dataset)


def _country_gone(old: Folder, new: Folder, dataset: str) -> bool:
    people = old["audience"].drop_duplicates("user_id").set_index("user_id")["country"]
    country = people.value_counts().index[2]
    gone = set(people[people == country].index)
    return not gone & new.ids("user_id", dataset) and new.ids("user_id", dataset) == old.ids("user_id", dataset) - gone


def _names_left(name: str, share: float) -> "Check":
    def check(old: Folder, new: Folder, dataset: str) -> bool:
        before, after = (folder[dataset]["event"].value_counts() for folder in (old, new))
        others = before.drop(name).equals(after.drop(name, errors="ignore"))
        return _near(after.get(name, 0) / before[name], share, 0.06) and others and _subset(old, new, dataset)

    return check


def _even_hours(old: Folder, new: Folder, dataset: str) -> bool:
    hours = old[dataset]["ts"].dt.hour
    return set(new[dataset]["ts"].dt.hour) <= set(range(0, 24, 2)) and len(new[dataset]) == (hours % 2 == 0).sum()


def _last_days_empty(old: Folder, new: Folder, dataset: str) -> bool:
    before, after = (folder[dataset].groupby("dt").size() for folder in (old, new))
    return (before[:-2] == after.reindex(before.index)[:-2]).all() and after[5:].sum() < 0.04 * before[-2:].sum()


def _added(old: Folder, new: Folder, dataset: str) -> pd.DataFrame:
    """The rows that come after the old ones of each day; those are as they were."""
    more = []
    for (_, before), (_, after) in zip(old[dataset].groupby("dt"), new[dataset].groupby("dt"), strict=True):
        assert before.reset_index(drop=True).equals(after[: len(before)].reset_index(drop=True))
        more.append(after[len(before) :])
    return pd.concat(more)


def _bots(old: Folder, new: Folder, dataset: str) -> bool:
    added = _added(old, new, dataset)
    return len(added) == len(old[dataset]) and added["user_id"].nunique() <= 0.011 * _WORLD.users


def _pushed(share: float, times: int, *, known: bool) -> "Check":
    def check(old: Folder, new: Folder, dataset: str) -> bool:
        added = _added(old, new, dataset)
        (source,) = set(added["source_id"])
        everybody = old.ids("user_id", *EVENTS)
        each = (added["user_id"].value_counts() == times).all()
        here = (source in old.ids("source_id", "sources")) == known
        return each and here and _near(added["user_id"].nunique() / len(everybody), share)

    return check


def _impressions(old: Folder, new: Folder, dataset: str) -> bool:
    pairs = [
        pd.MultiIndex.from_frame(rows[["user_id", "source_id"]]) for rows in (old[dataset], _added(old, new, dataset))
    ]
    by_user = _added(old, new, dataset)["user_id"].value_counts() / old[dataset]["user_id"].value_counts()
    return 6 < _left(old, new, dataset) <= 8 and not pairs[1].isin(pairs[0]).any() and by_user.max() <= 7


def _false_leaves(old: Folder, new: Folder, dataset: str) -> bool:
    added, follows = _added(old, new, dataset), old["subscriptions"]
    follows = follows[follows["dt"] == follows["dt"].max()]
    pairs = [pd.MultiIndex.from_frame(rows[["user_id", "source_id"]]) for rows in (added, follows)]
    return (
        set(added["event"]) == {"leave"} and pairs[0].isin(pairs[1]).all() and _near(len(added) / len(follows), 1 / 3)
    )


def _swapped(one: str, other: str) -> "Check":
    return lambda old, new, dataset: (
        old[dataset]["event"].replace({one: other, other: one}).equals(new[dataset]["event"])
        and old[dataset].drop(columns="event").equals(new[dataset].drop(columns="event"))
    )


def _days(days: int) -> pd.Timedelta:
    return pd.Timedelta(days=days).as_unit("us")


def _same_day(old: Folder, new: Folder, dataset: str) -> bool:
    first = old[dataset][lambda rows: rows["dt"] == rows["dt"].min()].reset_index(drop=True)
    shifts = range(7)
    days = [rows.reset_index(drop=True) for _, rows in new[dataset].groupby("dt")]
    moved = [
        day.assign(dt=day["dt"] - shift, ts=day["ts"] - _days(shift)) for shift, day in zip(shifts, days, strict=True)
    ]
    return all(day.equals(first) for day in moved)


def _same_as_the_week_before(old: Folder, new: Folder, dataset: str) -> bool:
    before = Week(old.root, _AS_OF - dt.timedelta(days=7)).table(dataset).to_pandas()
    return new[dataset].equals(before.assign(dt=before["dt"] + 7, ts=before["ts"] + _days(7)))


def _five_hours_late(*, moves: bool) -> "Check":
    def check(old: Folder, new: Folder, dataset: str) -> bool:
        before, after = old[dataset]["ts"], new[dataset]
        late = before + pd.Timedelta(hours=5)
        kept = late < pd.Timestamp(_AS_OF, tz="UTC") if moves else late.dt.date == before.dt.date
        days = after["ts"].dt.date.map(lambda day: (day - dt.date(1970, 1, 1)).days)
        return sorted(after["ts"]) == sorted(late[kept]) and bool((days == after["dt"]).all())

    return check


def _old_content(old: Folder, new: Folder, dataset: str) -> bool:
    days = Week(old.root, _AS_OF).days(dataset)
    past = [Week(old.root, _AS_OF).read(dataset, day - dt.timedelta(days=35)) for day in days]
    return all(Week(new.root, _AS_OF).read(dataset, day) == table for day, table in zip(days, past, strict=True))


def _not_exported(old: Folder, new: Folder, dataset: str) -> bool:
    kept = Week(new.root, _AS_OF).all_days(dataset)
    return kept == tuple(day for day in Week(old.root, _AS_OF).all_days(dataset) if day <= kept[-1]) and (
        35 <= (_AS_OF - kept[-1]).days <= 37
    )


def _closed(old: Folder, new: Folder, dataset: str) -> bool:
    active = [folder[dataset]["status"] == "active" for folder in (old, new)]
    return not (active[1] & ~active[0]).any() and _near(active[1].sum() / active[0].sum(), 0.5, 0.07)


def _scaled(factor: float) -> "Check":
    return lambda old, new, dataset: (
        dataset != "reactions" or np.allclose(new[dataset]["weight"], factor * old[dataset]["weight"])
    )


def _one_huge(old: Folder, new: Folder, dataset: str) -> bool:
    differ = [] if dataset != "reactions" else new[dataset]["weight"][lambda values: values > 3]
    return dataset != "reactions" or list(differ) == [1e9]


def _doubled(share: float) -> "Check":
    return lambda old, new, dataset: (
        _near(_left(old, new, dataset), 1 + share)
        and old[dataset].drop_duplicates(ignore_index=True).equals(new[dataset].drop_duplicates(ignore_index=True))
    )


Check = Callable[[Folder, Folder, str], bool]
_CHECKS: dict[str, Check] = {
    "users_shifted_by_a_row_in_clicks": _shifted("user_id"),
    "users_shifted_by_a_row_in_all_events": _shifted("user_id"),
    "sources_shifted_by_a_row_in_reactions": _shifted("source_id"),
    "users_shuffled_in_reactions": _in_another_order("user_id"),
    "users_shuffled_in_all_events": _in_another_order("user_id"),
    "users_shuffled_in_subscriptions": _in_another_order("user_id"),
    "sources_shuffled_in_clicks": _in_another_order("source_id"),
    "sources_shuffled_in_all_events": _in_another_order("source_id"),
    "users_mistaken_for_others_in_clicks": _renamed("user_id", known=True),
    "users_hashed_anew_in_reactions": _renamed("user_id", known=False),
    "sources_hashed_anew_in_clicks": _renamed("source_id", known=False),
    "half_of_users_lost_from_all_events": _ids_left("user_id", 0.5, *EVENTS),
    "half_of_users_lost_from_clicks": _ids_left("user_id", 0.5),
    "tenth_of_users_lost_from_all_events": _ids_left("user_id", 0.9, *EVENTS),
    "tenth_of_users_lost_from_reactions": _ids_left("user_id", 0.9),
    "half_of_all_events_lost": _rows_left(0.5, 0.06),
    "quarter_of_sources_lost_from_all_events": _ids_left("source_id", 0.75, *EVENTS),
    "quarter_of_sources_lost_from_catalogue": _ids_left("source_id", 0.75),
    "country_lost_everywhere": _country_gone,
    "event_name_lost": _names_left("share", 0.0),
    "event_name_less_30_percent": _names_left("comment", 0.7),
    "every_other_hour_lost_from_clicks": _even_hours,
    "every_other_hour_lost_from_all_events": _even_hours,
    "last_two_days_nearly_empty": _last_days_empty,
    "clicks_doubled": _doubled(1.0),
    "all_events_doubled": _doubled(1.0),
    "third_of_reactions_twice": _doubled(1 / 3),
    "bots_make_half_of_reactions_and_clicks": _bots,
    "source_pushed_weakly": _pushed(0.3, 1, known=True),
    "source_pushed_strongly": _pushed(0.3, 10, known=True),
    "unknown_source_pushed": _pushed(1 / 3, 3, known=False),
    "impressions_logged_as_clicks": _impressions,
    "false_leaves": _false_leaves,
    "likes_and_shares_swapped": _swapped("like", "share"),
    "joins_and_leaves_swapped": _swapped("join", "leave"),
    "stale_day_of_clicks_repeated": _same_day,
    "stale_day_of_all_events_repeated": _same_day,
    "old_week_replayed": _same_as_the_week_before,
    "five_hours_late": _five_hours_late(moves=True),
    "five_hours_late_and_lost_at_midnight": _five_hours_late(moves=False),
    **{f"{dataset}_lost_by_90_percent": _rows_left(0.1, 0.07) for dataset in SNAPSHOTS},
    **{
        f"{dataset}_half_empty": _ids_left("source_id" if dataset == "sources" else "user_id", 0.5)
        for dataset in SNAPSHOTS
    },
    **{f"{dataset}_with_old_content": _old_content for dataset in SNAPSHOTS},
    **{f"{dataset}_not_exported": _not_exported for dataset in SNAPSHOTS},
    "closed_sources_called_active": lambda old, new, dataset: set(new[dataset]["status"]) == {"active"},
    "half_of_active_sources_called_closed": _closed,
    "owners_null": lambda old, new, dataset: bool(new[dataset]["owner_id"].isna().all()),
    "categories_shuffled": lambda old, new, dataset: (
        sorted(old[dataset]["category"].fillna("")) == sorted(new[dataset]["category"].fillna(""))
        and (old[dataset]["category"] != new[dataset]["category"]).mean() > 0.8
    ),
    "weights_times_ten": _scaled(10.0),
    "weights_tiny": _scaled(1e-3),
    "one_weight_huge": _one_huge,
}


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("ids", ["clean", "string_clean"])
def test_it_changes_what_it_says(tmp_path: Path, ids: str, name: str, request: pytest.FixtureRequest) -> None:
    clean = request.getfixturevalue(ids)
    plant(clean, tmp_path / "out", name, _AS_OF, 1)
    for dataset in CORRUPTIONS[name].datasets:
        assert _CHECKS[name](Folder(clean), Folder(tmp_path / "out"), dataset), dataset


def test_what_cannot_be_planted_leaves_nothing(clean: Path, tmp_path: Path) -> None:
    generate(tmp_path / "short", World(users=100, sources=50, days=14, events=2_000, as_of=_AS_OF))
    for name, message in (
        ("blocks_with_old_content", "make a longer world"),
        ("weights_tiny", "no event dataset of .* has a column 'weight'"),
    ):
        with pytest.raises(PlantError, match=message):
            plant(tmp_path / "short", tmp_path / "out", name, _AS_OF, 1)
        assert not (tmp_path / "out").exists()
    with pytest.raises(PlantError, match="has no partition of the week before 2020-01-06"):
        plant(clean, tmp_path / "out", "clicks_doubled", dt.date(2020, 1, 6), 1)
    with pytest.raises(PlantError, match="short exists"):
        plant(clean, tmp_path / "short", "clicks_doubled", _AS_OF, 1)


def test_a_fault_without_an_effect_is_an_error(clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = Corruption("nothing", "none", ("clicks",), "Nothing happens.", lambda week, rng: None)
    monkeypatch.setitem(CORRUPTIONS, "nothing", nothing)  # type: ignore[arg-type]
    with pytest.raises(PlantError, match="changes nothing"):
        plant(clean, tmp_path / "out", "nothing", _AS_OF, 1)
