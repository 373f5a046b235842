"""The demo world: its datasets keep the input contract, its lives are consistent, its truth can be judged by."""

import datetime as dt
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from conf.load import load_settings
from deploy.demo.ranked import ListsError, Pairs, lists_of_ranking, whole
from deploy.demo.tastes import World
from deploy.demo.truth import Truth, WorldError, planted_ndcg
from deploy.demo.volume import EVENTS, daily_events
from deploy.demo.world import generate, main

_WORLD = World(users=600, sources=200, days=21, events=20_000, seed=3)
_EVENT_SETS = {"reactions": {"like", "comment", "share"}, "clicks": {"click"}, "joins": {"join", "leave"}}
_LAST_DAY, _BEFORE = "dt=2026-11-15", "dt=2026-11-13"
_EVENINGS = ("dt=2026-10-30", "dt=2026-11-01", "dt=2026-11-06", "dt=2026-11-08", _BEFORE, _LAST_DAY)
_REFERENCE = Path(__file__).parents[3] / "conf" / "prod_discovery.yml"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small world."""
    folder = tmp_path_factory.mktemp("demo") / "data"
    generate(folder, _WORLD)
    return folder


def _events(world: Path, name: str) -> pa.Table:
    return pa.concat_tables(pq.ParquetFile(path).read() for path in sorted(world.glob(f"{name}/dt=*/*.parquet")))


def _snapshot(world: Path, name: str, day: str = _LAST_DAY) -> pa.Table:
    return pq.ParquetFile(world / name / day / "part-0.parquet").read()


def _pairs(table: pa.Table) -> set[tuple[int, int]]:
    return set(zip(table["user_id"].to_pylist(), table["source_id"].to_pylist(), strict=True))


def _hashes(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("name", _EVENT_SETS)
def test_every_day_is_a_finished_partition_of_the_contract(world: Path, name: str) -> None:
    days = sorted(path.name.removeprefix("dt=") for path in (world / name).iterdir())
    assert days == [str(_WORLD.first_day + dt.timedelta(days=i)) for i in range(21)]
    for day in days:
        partition = world / name / f"dt={day}"
        table = pq.ParquetFile(partition / "part-0.parquet").read()
        assert (partition / "_SUCCESS").exists()
        assert table.schema.names == ["user_id", "source_id", "event", "ts"]
        assert table.schema.types == [pa.int64(), pa.int64(), pa.string(), pa.timestamp("us", tz="UTC")]
        assert not any(column.null_count for column in table.columns)
        assert {str(ts.date()) for ts in table["ts"].to_pylist()} == {day}


def test_event_names_are_those_with_a_weight_in_the_reference_config(world: Path) -> None:
    settings = load_settings(_REFERENCE)
    for name, expected in _EVENT_SETS.items():
        assert set(pc.unique(_events(world, name)["event"]).to_pylist()) == expected
        assert name in settings.datasets.events
    assert set.union(*_EVENT_SETS.values()) == set(settings.interactions.event_weights)


def test_snapshots_have_the_columns_of_the_contract_before_every_weekly_run(world: Path) -> None:
    columns = {
        "subscriptions": ["user_id", "source_id"],
        "blocks": ["user_id", "source_id"],
        "sources": ["source_id", "status", "category", "owner_id", "created_at"],
        "audience": ["user_id", "country"],
    }
    for name, expected in columns.items():
        assert {path.parent.name for path in (world / name).glob("dt=*/_SUCCESS")} == set(_EVENINGS)
        sizes = [len(_snapshot(world, name, day)) for day in _EVENINGS]
        assert sizes == sorted(sizes)
        assert 0 < sizes[0] < sizes[-1]
        assert all(_snapshot(world, name, day).column_names == expected for day in _EVENINGS)


@pytest.mark.parametrize("day", ["dt=2026-10-30", _BEFORE, _LAST_DAY])
def test_subscriptions_are_what_joins_and_leaves_lead_to(world: Path, day: str) -> None:
    evening = dt.datetime.fromisoformat(f"{day.removeprefix('dt=')}T00:00Z") + dt.timedelta(days=1)
    moves = _events(world, "joins").sort_by("ts").filter(pc.field("ts") < evening)
    subscribed = _pairs(_snapshot(world, "subscriptions", day))
    last = {
        (user, source): event
        for user, source, event in zip(*(moves[c].to_pylist() for c in ("user_id", "source_id", "event")), strict=True)
    }
    assert all((pair in subscribed) == (event == "join") for pair, event in last.items())
    assert not subscribed & _pairs(_snapshot(world, "blocks", day))


def test_the_earlier_state_leads_to_the_newest_one(world: Path) -> None:
    assert _pairs(_snapshot(world, "blocks", _BEFORE)) < _pairs(_snapshot(world, "blocks"))
    states = (_snapshot(world, "sources", day).to_pylist() for day in (_BEFORE, _LAST_DAY))
    old, new = ({row.pop("source_id"): row for row in state} for state in states)
    assert set(old) == {source for source in new if new[source]["created_at"].date() <= dt.date(2026, 11, 13)}
    closed = {source for source in old if old[source] != new[source]}
    assert closed
    assert all({**old[source], "status": "closed"} == new[source] for source in closed)


def test_a_world_of_one_day_has_one_state(tmp_path: Path) -> None:
    generate(tmp_path / "data", replace(_WORLD, days=1, events=1_000))
    assert [path.name for path in (tmp_path / "data" / "subscriptions").iterdir()] == [_LAST_DAY]


def test_sources_have_events_only_between_birth_and_close(world: Path) -> None:
    sources = _snapshot(world, "sources")
    created = dict(zip(sources["source_id"].to_pylist(), sources["created_at"].to_pylist(), strict=True))
    status = dict(zip(sources["source_id"].to_pylist(), sources["status"].to_pylist(), strict=True))
    for name in ("reactions", "clicks"):
        events = _events(world, name)
        for source, ts in zip(events["source_id"].to_pylist(), events["ts"].to_pylist(), strict=True):
            assert created[source] < ts
    recent = pq.ParquetFile(world / "clicks" / _LAST_DAY / "part-0.parquet").read()
    assert all(status[source] == "active" for source in recent["source_id"].to_pylist())
    assert set(status.values()) == {"active", "closed"}
    assert _WORLD.first_day <= max(created.values()).date() < dt.date(2026, 11, 16)


def test_the_audience_is_everybody_and_some_have_no_events(world: Path) -> None:
    for day in _EVENINGS:
        audience = set(_snapshot(world, "audience", day)["user_id"].to_pylist())
        evening = dt.datetime.fromisoformat(f"{day.removeprefix('dt=')}T00:00Z") + dt.timedelta(days=1)
        events = pa.concat_tables(_events(world, name) for name in _EVENT_SETS).filter(pc.field("ts") < evening)
        assert set(events["user_id"].to_pylist()) < audience
    assert len(audience) == 600


def test_a_user_has_a_country_for_good_and_few_have_the_smallest(world: Path) -> None:
    countries = Truth.load(world / "_truth").countries
    assert countries is not None
    for day in _EVENINGS:
        said = _snapshot(world, "audience", day)["country"].combine_chunks()
        assert said == countries.slice(0, len(said))
    counts = np.sort(np.asarray(pc.value_counts(countries).field("counts")))
    assert counts[-1] / 600 == pytest.approx(0.35, abs=0.05)
    assert counts[0] / 600 < 0.01


def test_the_truth_of_an_older_world_has_no_countries(tmp_path: Path, world: Path) -> None:
    replace(Truth.load(world / "_truth"), countries=None).save(tmp_path / "old")
    assert Truth.load(tmp_path / "old").countries is None


def test_nobody_follows_what_they_block_one_day(world: Path) -> None:
    blocked = _pairs(_snapshot(world, "blocks"))
    assert not any(blocked & _pairs(_snapshot(world, "subscriptions", day)) for day in _EVENINGS)


def test_weekends_are_busier(world: Path) -> None:
    rows = {}
    for path in (world / "clicks").glob("dt=*"):
        rows[dt.date.fromisoformat(path.name[3:])] = pq.read_metadata(path / "part-0.parquet").num_rows
    weekend = [count for day, count in rows.items() if day.weekday() >= 5]
    assert min(weekend) > max(count for day, count in rows.items() if day.weekday() < 4)


def test_the_same_world_has_the_same_bytes_and_another_seed_has_others(tmp_path: Path, world: Path) -> None:
    generate(tmp_path / "again", _WORLD)
    generate(tmp_path / "other", replace(_WORLD, seed=4))
    assert _hashes(tmp_path / "again") == _hashes(world)
    click = "clicks/dt=2026-11-15/part-0.parquet"
    assert _hashes(tmp_path / "other")[click] != _hashes(world)[click]


def test_the_summary_counts_what_was_written_and_progress_hears_every_day(tmp_path: Path) -> None:
    heard: list[tuple[dt.date, int]] = []
    summary = generate(tmp_path / "data", _WORLD, lambda day, events: heard.append((day, events)))
    assert summary.events == sum(len(_events(tmp_path / "data", name)) for name in _EVENT_SETS)
    assert abs(summary.events - 20_000) < 400
    assert [day for day, _ in heard] == [_WORLD.first_day + dt.timedelta(days=i) for i in range(21)]
    assert heard[-1][1] == summary.events
    assert summary.bytes == sum(path.stat().st_size for path in (tmp_path / "data").rglob("*.parquet"))


def test_string_ids_are_the_same_world(tmp_path: Path, world: Path) -> None:
    generate(tmp_path / "data", replace(_WORLD, ids="string"))
    named, numbered = _events(tmp_path / "data", "joins"), _events(world, "joins")
    assert named["user_id"].to_pylist() == [f"u{user}" for user in numbered["user_id"].to_pylist()]
    assert named["source_id"].to_pylist() == [f"s{source}" for source in numbered["source_id"].to_pylist()]


def test_what_is_in_the_way_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(WorldError, match="is not empty"):
        generate(tmp_path, _WORLD)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_failed_generation_leaves_no_folder_and_the_next_one_works(tmp_path: Path) -> None:
    def stop(day: dt.date, events: int) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        generate(tmp_path / "data", _WORLD, stop)
    assert not (tmp_path / "data").exists()
    generate(tmp_path / "data", _WORLD)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


_YEARS = World(days=7 * 104, events=70_000_000, season=0, noise=0)


def _weekly(world: World) -> np.ndarray:
    """Events of each whole week and name."""
    counts = daily_events(world)
    assert counts.sum() == pytest.approx(world.events)
    return counts.reshape(-1, 7, len(EVENTS)).sum(axis=1)


def test_weeks_without_noise_and_season_are_alike_and_a_trend_is_on_a_log_scale() -> None:
    assert np.ptp(_weekly(_YEARS), axis=0) == pytest.approx(np.zeros(len(EVENTS)), abs=1e-6)
    grown = np.diff(np.log(_weekly(replace(_YEARS, trend=0.01)).sum(axis=1)))
    assert grown == pytest.approx(np.full(103, 0.01))


def test_the_season_comes_back_after_a_year_and_another_seed_has_its_peak_elsewhere() -> None:
    total = _weekly(replace(_YEARS, season=0.2)).sum(axis=1) / (_YEARS.events / 104)
    assert (total.min(), total.max()) == pytest.approx((0.8, 1.2), abs=0.01)
    assert total[:52] == pytest.approx(total[52:], abs=0.01)
    other = _weekly(replace(_YEARS, season=0.2, seed=8)).sum(axis=1)
    assert abs(other.argmax() - total.argmax()) > 2


def test_weeks_vary_by_their_noise_and_shares_less() -> None:
    weekly = _weekly(replace(_YEARS, noise=0.08))
    assert np.log(weekly.sum(axis=1)).std() == pytest.approx(0.08, abs=0.02)
    likes = weekly[:, EVENTS.index("like")] / weekly[:, :3].sum(axis=1)
    shares = weekly[:, EVENTS.index("share")] / weekly[:, :3].sum(axis=1)
    assert 0.005 < np.log(likes).std() < 0.02
    assert 0.02 < np.log(shares).std() < 0.04
    clicks = weekly[:, EVENTS.index("click")] / weekly.sum(axis=1)
    assert 0.01 < np.log(clicks).std() < 0.04


def test_numbers_that_are_not_whole_come_from_the_command_line(tmp_path: Path) -> None:
    flags = {"users": "60", "sources": "40", "days": "7", "events": "2000", "noise": "0.13", "as-of": "2026-11-20"}
    assert main([str(tmp_path / "data"), *(f"--{name}={value}" for name, value in flags.items())]) == 0
    said = json.loads((tmp_path / "data" / "_truth" / "world.json").read_text())
    assert (said["noise"], said["season"], said["as_of"]) == (0.13, 0.2, "2026-11-20")


@pytest.mark.parametrize("flags", [["--countries", "13"], ["--noise", "1"], ["--trend", "2"]])
def test_a_world_too_wild_is_refused(tmp_path: Path, flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "data"), *flags]) == 2
    assert "too large" in capsys.readouterr().err


@pytest.mark.parametrize("flags", [["--users", "1"], ["--sources", "3"], ["--days", "0"], ["--events", "0"]])
def test_a_world_too_small_is_refused(tmp_path: Path, flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "data"), *flags]) == 2
    assert "too small" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


def test_the_truth_survives_saving(tmp_path: Path, world: Path) -> None:
    truth = Truth.load(world / "_truth")
    truth.save(tmp_path / "copy")
    users, sources, again = np.array([0, 5, 599]), np.array([7, 7, 199]), Truth.load(tmp_path / "copy")
    assert np.array_equal(truth.affinity(users), again.affinity(users))
    community = np.einsum("ij,ij->i", truth.tastes[users], truth.traits[sources])
    by_hand = community * truth.popularity[sources] * truth.appeal(users, sources)
    assert truth.affinity(users)[[0, 1, 2], sources] == pytest.approx(by_hand, rel=1e-5)
    with pytest.raises(WorldError, match="no planted truth"):
        Truth.load(tmp_path)


def _exclusions(world: Path) -> pa.Table:
    tables = [_snapshot(world, "subscriptions"), *(_events(world, name) for name in _EVENT_SETS)]
    return pa.concat_tables(table.select(["user_id", "source_id"]) for table in tables)


def _lists_by(world: Path, score: Callable[[Truth], np.ndarray]) -> pa.Table:
    """Ten eligible sources of highest score for each user, without exclusions."""
    truth, exclusions = Truth.load(world / "_truth"), _exclusions(world)
    scores = np.where(truth.eligible, score(truth), -1.0)
    excluded = Pairs.of(exclusions, truth.user_ids, truth.source_ids)
    scores[excluded.rows, excluded.sources] = -1.0
    best = np.argsort(-scores, axis=1)[:, :10]
    ids = [truth.source_ids.take(row).to_pylist() for row in best]
    return pa.table({"user_id": truth.user_ids, "source_ids": ids})


def test_perfect_taste_beats_popularity_beats_the_reverse(world: Path) -> None:
    exclusions, truth, everybody = _exclusions(world), Truth.load(world / "_truth"), np.arange(600)

    def judged(score: Callable[[Truth], np.ndarray]) -> float:
        return planted_ndcg(world / "_truth", _lists_by(world, score), exclusions)

    perfect = judged(lambda truth: truth.affinity(everybody).astype(np.float64))
    worst = judged(lambda truth: 1 / (1e-9 + truth.affinity(everybody).astype(np.float64)))
    ranking = pc.value_counts(exclusions["source_id"]).flatten()
    eligible = np.isin(ranking[0], truth.source_ids.filter(pa.array(truth.eligible)))
    ranking = ranking[0].take(np.argsort(-np.asarray(ranking[1]) * eligible)[: eligible.sum()])
    popular = planted_ndcg(world / "_truth", lists_of_ranking(ranking, truth.user_ids, exclusions, 10), exclusions)
    assert perfect == pytest.approx(1.0)
    assert worst == 0.0  # sources of strange communities
    assert 0.05 < popular < 0.5


def test_excluded_closed_and_strange_sources_earn_nothing(world: Path) -> None:
    truth, exclusions = Truth.load(world / "_truth"), _exclusions(world)
    closed = truth.source_ids.filter(pa.array(~truth.eligible)).slice(0, 10).to_pylist()
    lists = pa.table({"user_id": truth.user_ids, "source_ids": [closed] * 600})
    assert planted_ndcg(world / "_truth", lists, exclusions) == 0.0
    user, seen = exclusions["user_id"][0].as_py(), exclusions["source_id"][0].as_py()
    assert planted_ndcg(world / "_truth", pa.table({"user_id": [user], "source_ids": [[seen]]}), exclusions) == 0.0
    for stranger in ({"user_id": [1], "source_ids": [[seen]]}, {"user_id": [user], "source_ids": [[1]]}):
        with pytest.raises(ListsError, match="unknown here"):
            planted_ndcg(world / "_truth", pa.table(stranger), exclusions)
    assert len(whole(lists["user_id"])) == 600
