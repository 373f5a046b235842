"""Users of the demo world who answer their lists: by position, taste and chance, the same for the same seed."""

import datetime as dt
import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deploy.demo.life import Life
from deploy.demo.lookups import Asked, Told
from deploy.demo.planted_lists import PlantedLists, PlantedModel
from deploy.demo.ranked import ListsError
from deploy.demo.reactions import SURFACES, Habits, Luck, Surface, attraction, examination
from deploy.demo.tastes import World
from deploy.demo.truth import WorldError
from deploy.demo.visits import DayVisited, visit
from deploy.demo.volume import DATASETS
from deploy.demo.world import generate

_WORLD = World(users=600, sources=200, days=21, events=20_000, seed=3)
_DAY = _WORLD.as_of
_BUSY = Habits(visits_per_user=10.0)
_BOTH = {"treatment": PlantedModel("run-b", noise=0.5), "control": None}


@pytest.fixture(scope="module")
def born(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small world that nobody visited."""
    folder = tmp_path_factory.mktemp("demo") / "data"
    generate(folder, _WORLD)
    return folder


@pytest.fixture
def world(born: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(born, tmp_path / "data"))


def _lists(life: Life, **changes: Any) -> PlantedLists:
    return PlantedLists(life.population, life.followed(_DAY), **{"models": _BOTH} | changes)


def _visited(world: Path, habits: Habits = _BUSY, **changes: Any) -> DayVisited:
    life = Life.of(world)
    return visit(life, _DAY, _lists(life, **changes), habits)


def _rows(world: Path, name: str, day: dt.date = _DAY) -> pa.Table:
    return pq.ParquetFile(world / name / f"dt={day}" / "part-0.parquet").read()


def _column(table: pa.Table, name: str) -> np.ndarray:
    return np.asarray(table[name].to_numpy(zero_copy_only=False))


def _hashes(folder: Path, pattern: str = f"**/dt={_DAY}/*") -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob(pattern)
    }


def _events(world: Path) -> list[tuple[Any, ...]]:
    tables = pa.concat_tables(_rows(world, name) for name in DATASETS)
    return sorted(zip(*(tables[name].to_pylist() for name in ("user_id", "source_id", "event", "ts")), strict=True))


def _caused(world: Path) -> list[tuple[Any, ...]]:
    """(user, source, event) of every event that a list caused."""
    shown = _rows(world, "_truth/shown").to_pylist()
    names = ("like", "comment", "share", "click", "join")
    return sorted((row["user_id"], row["source_id"], name) for row in shown for name in names if row[name])


class _Nothing:
    """Answers nobody."""

    def answers(self, asked: Sequence[Asked]) -> list[Told]:
        """Nothing."""
        return [Told("treatment", "none", None)] * len(asked)


def test_examination_falls_with_position_as_the_formula_says() -> None:
    ranks = np.arange(10)
    for surface in SURFACES:
        seen = examination(ranks, surface.steepness)
        assert seen[0] == 1.0
        assert all(np.diff(seen) < 0)
        assert seen[7] == pytest.approx(8**-surface.steepness)
    assert (examination(ranks, 0.0) == 1).all()


def test_attraction_rises_with_taste_between_curiosity_and_delight(born: Path) -> None:
    population = Life.of(born).population
    users, sources = (side.ravel() for side in np.meshgrid(np.arange(100), np.arange(200)))
    attracts = attraction(population, users, sources, Habits())
    truth = population.truth
    fit = ((truth.traits[sources] > 0) * truth.tastes[users]).sum(axis=1)
    assert (attracts >= 0.004).all()
    assert (attracts <= 0.2).all()
    assert attracts[fit == 0] == pytest.approx(0.004)
    order = np.argsort(fit * truth.appeal(users, sources), kind="stable")
    assert (np.diff(attracts[order]) >= -1e-7).all()
    assert attracts.max() > 0.15


def test_rates_of_every_position_are_those_of_the_formula(world: Path) -> None:
    _visited(world)
    shown = _rows(world, "_truth/shown")
    surfaces, positions = _column(shown, "surface"), _column(shown, "position")
    for surface in SURFACES:
        assert positions[surfaces == surface.name].max() == surface.places
        for position in range(1, surface.places + 1):
            here = (surfaces == surface.name) & (positions == position)
            for told, probability in (("examined", "examination"), ("reacted", "probability")):
                expected, found = _column(shown, probability)[here], _column(shown, told)[here]
                assert abs(found.mean() - expected.mean()) < 4.5 * np.sqrt(expected.mean() / here.sum())
            assert _column(shown, "examination")[here] == pytest.approx(position**-surface.steepness)
    assert not (_column(shown, "reacted") & ~_column(shown, "examined")).any()
    assert not (_column(shown, "reacted") & ~_column(shown, "click")).any()


def test_more_taste_more_reactions(world: Path) -> None:
    _visited(world)
    shown = _rows(world, "_truth/shown")
    attracts, reacted = _column(shown, "attraction"), _column(shown, "reacted")
    examined = _column(shown, "examined")
    low, high = attracts < np.quantile(attracts, 0.3), attracts > np.quantile(attracts, 0.7)
    assert reacted[high & examined].mean() > 2 * reacted[low & examined].mean()


def test_the_same_day_has_the_same_bytes_and_another_seed_has_others(world: Path) -> None:
    assert _visited(world) == _visited(world)
    first = _hashes(world)
    _visited(world)
    assert _hashes(world) == first
    assert {path.partition("/dt=")[0] for path in first} >= {"impressions", "clicks", "_truth/shown", "subscriptions"}
    life = Life.of(world)
    visit(replace(life, world=replace(life.world, seed=4)), _DAY, _lists(life), _BUSY)
    other = _hashes(world)
    assert all(
        other[name] != first[name] for name in first if name.startswith(("impressions", "clicks")) and "part" in name
    )


def test_in_whatever_order_the_answers_come(world: Path) -> None:
    life = Life.of(world)
    lists = _lists(life)

    class Backwards:
        def answers(self, asked: Sequence[Asked]) -> list[Told]:
            return [told for one in reversed(asked) for told in lists.answers([one])][::-1]

    visit(life, _DAY, lists, _BUSY)
    first = _hashes(world)
    visit(life, _DAY, Backwards(), _BUSY)
    assert _hashes(world) == first


def test_another_list_is_not_another_chance(world: Path) -> None:
    """Users of the treatment do the same whatever the others get, and by themselves everybody does the same."""
    half = _visited(world, share_bp=5_000)
    shown = _rows(world, "_truth/shown")
    treated = set(shown["user_id"].to_pylist())
    events, caused = _events(world), _caused(world)
    _visited(world)
    everybody = _rows(world, "_truth/shown")
    assert everybody.filter(pa.array([user in treated for user in everybody["user_id"].to_pylist()])) == shown
    visit(Life.of(world), _DAY, _Nothing(), _BUSY)
    alone = _events(world)
    assert set(alone) < set(events)
    assert sorted(event[:3] for event in set(events) - set(alone)) == caused
    assert half.kinds.keys() == {"list", "control"}


def test_a_reaction_is_an_ordinary_event_after_its_impression(world: Path) -> None:
    _visited(world)
    events, midnight = _events(world), dt.datetime.combine(_DAY + dt.timedelta(days=1), dt.time(), dt.UTC)
    last: dict[tuple[Any, ...], dt.datetime] = {event[:3]: event[3] for event in events}
    caused = _caused(world)
    assert caused
    for row in _rows(world, "_truth/shown").to_pylist():
        for name in ("like", "comment", "share", "click", "join"):
            assert not row[name] or row["ts"] < last[row["user_id"], row["source_id"], name] < midnight
    for name, expected in DATASETS.items():
        table = _rows(world, name)
        assert table.schema == _rows(world, name, _DAY - dt.timedelta(days=1)).schema
        assert set(table["event"].to_pylist()) <= set(expected)
        assert (np.diff(_column(table, "ts").astype("int64")) >= 0).all()


def test_who_joins_follows_in_the_evening_and_nobody_joins_twice(world: Path) -> None:
    life = Life.of(world)
    morning = {tuple(pair) for pair in zip(*np.divmod(life.followed(_DAY), 200), strict=True)}
    _visited(world)
    truth = life.population.truth
    moves = _rows(world, "joins").to_pylist()
    ids = {(truth.user_ids[int(user)].as_py(), truth.source_ids[int(source)].as_py()) for user, source in morning}
    joins = [(row["user_id"], row["source_id"]) for row in moves if row["event"] == "join"]
    left = {(row["user_id"], row["source_id"]) for row in moves if row["event"] == "leave"}
    assert len(joins) == len(set(joins))
    assert not set(joins) & ids
    assert any(event[2] == "join" for event in _caused(world))
    evening = _rows(world, "subscriptions")
    assert set(zip(evening["user_id"].to_pylist(), evening["source_id"].to_pylist(), strict=True)) == (
        ids - left | set(joins)
    )


def test_impressions_are_the_first_places_of_what_was_rendered(world: Path) -> None:
    visited = _visited(world, replace(_BUSY, rendered=0.8))
    shown, answers = _rows(world, "impressions"), _rows(world, "_truth/answers")
    assert shown.column_names == ["user_id", "source_id", "ts", "position", "run", "surface"]
    assert set(shown["run"].to_pylist()) == {"run-b"}
    told = {(row["user_id"], row["ts"], row["surface"]): row["source_ids"] for row in answers.to_pylist()}
    for row in shown.to_pylist():
        assert told[row["user_id"], row["ts"], row["surface"]][row["position"] - 1] == row["source_id"]
    assert (visited.answers, visited.shown, visited.listed) == (6_000, len(shown), 300_000)
    at_the_top = (_column(shown, "position") == 1).sum()
    assert at_the_top / 6_000 == pytest.approx(0.8, abs=0.03)


def test_who_counts_every_event_after_an_impression_counts_too_many(world: Path) -> None:
    visited = _visited(world)
    shown = _rows(world, "_truth/shown")
    alone = _column(shown, "by_itself")
    assert alone.any()
    assert visited.hits_of_shown > visited.caused == _column(shown, "reacted").sum()
    assert visited.hits_of_answers > visited.hits_of_shown / 2
    assert visited.hits_of_shown >= (_column(shown, "reacted") | alone).sum()


@pytest.mark.parametrize(("effect", "ratio"), [(0.0, 0.0), (0.5, 0.5), (2.0, 2.0)])
def test_the_effect_of_an_arm_is_planted(world: Path, effect: float, ratio: float) -> None:
    both = {"treatment": PlantedModel("run-b"), "control": PlantedModel("run-a")}
    usual = _visited(world, share_bp=5_000, models=both)
    before = _rows(world, "_truth/shown")
    changed = _visited(world, replace(_BUSY, effects={"treatment": effect}), share_bp=5_000, models=both)
    after = _rows(world, "_truth/shown")
    of_b = _column(before, "run") == "run-b"
    assert 0 < of_b.sum() < len(of_b)
    assert _column(after, "reacted")[of_b].sum() == pytest.approx(
        _column(before, "reacted")[of_b].sum() * ratio, rel=0.2
    )
    assert (_column(after, "reacted") == _column(before, "reacted"))[~of_b].all()
    assert (changed.answers, changed.shown) == (usual.answers, usual.shown)


def test_better_lists_by_construction_are_liked_more(world: Path) -> None:
    caused = [_visited(world, models={"treatment": PlantedModel("run", noise)}).caused for noise in (0.0, 2.0, 100.0)]
    assert caused[0] > caused[1] > 2 * caused[2]


def test_nobody_reacts_to_what_they_blocked_or_what_is_closed(world: Path) -> None:
    life = Life.of(world)
    truth = life.population.truth
    closed = truth.source_ids.filter(pa.array(~truth.eligible)).to_pylist()[:10]

    class Closed:
        def answers(self, asked: Sequence[Asked]) -> list[Told]:
            return [Told("treatment", "list", "run", closed)] * len(asked)

    visited = visit(life, _DAY, Closed(), _BUSY)
    assert visited.shown > 0
    assert visited.caused == 0
    assert set(_rows(world, "_truth/shown")["attraction"].to_pylist()) == {0.0}


def test_days_are_lived_in_order(world: Path) -> None:
    life = Life.of(world)
    tomorrow = _DAY + dt.timedelta(days=1)
    with pytest.raises(WorldError, match=f"has not lived {_DAY} yet"):
        visit(life, tomorrow, _Nothing(), _BUSY)
    visit(life, _DAY, _Nothing(), _BUSY)
    visit(life, tomorrow, _Nothing(), _BUSY)
    with pytest.raises(WorldError, match=f"has lived {tomorrow} already"):
        visit(life, _DAY, _Nothing(), _BUSY)
    with pytest.raises(WorldError, match="goes on from 2026-11-16"):
        visit(life, _DAY - dt.timedelta(days=1), _Nothing(), _BUSY)
    weekly = [len(_rows(world, "clicks", _DAY + dt.timedelta(days=day))) for day in (-7, -6, 0, 1)]
    assert weekly[2] / weekly[0] == pytest.approx(weekly[3] / weekly[1], rel=0.3)
    assert 0.6 < weekly[2] / weekly[0] < 1.6


def test_answers_that_do_not_fit_are_refused_before_anything_is_written(world: Path) -> None:
    life = Life.of(world)

    class Short:
        def answers(self, asked: Sequence[Asked]) -> list[Told]:
            return [Told("treatment", "none", None)]

    class Foreign:
        def answers(self, asked: Sequence[Asked]) -> list[Told]:
            return [Told("treatment", "list", "run", [1])] * len(asked)

    with pytest.raises(WorldError, match="6000 look-ups got 1 answers"):
        visit(life, _DAY, Short(), _BUSY)
    with pytest.raises(ListsError, match="source 1 is unknown here"):
        visit(life, _DAY, Foreign(), _BUSY)
    assert not _hashes(world)
    with pytest.raises(WorldError, match="holds no demo world"):
        Life.of(world / "clicks")


@pytest.mark.parametrize(
    "changes",
    [
        {"rendered": 1.5},
        {"delight": -0.1},
        {"visits_per_user": -1},
        {"effects": {"treatment": -1}},
        {"surfaces": ()},
        {"surfaces": (Surface("feed", 0, 1.0, 1.0),)},
    ],
)
def test_habits_that_are_none_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(WorldError):
        Habits(**changes)


def test_a_day_without_visits_and_a_world_of_names(tmp_path: Path) -> None:
    generate(tmp_path / "data", replace(_WORLD, ids="string", users=100, events=2_000))
    quiet = _visited(tmp_path / "data", Habits(visits_per_user=0))
    assert (quiet.answers, quiet.shown, quiet.caused) == (0, 0, 0)
    assert _rows(tmp_path / "data", "impressions").schema.field("user_id").type == pa.string()
    assert _visited(tmp_path / "data").caused > 0


def test_luck_has_a_number_for_every_place() -> None:
    luck = Luck.draw(np.random.default_rng(1), 5, 10)
    assert (luck.examined.shape, luck.events.shape) == ((5, 10), (5, 10, 6))
