"""The floors of a run: on a folder written by hand, what they read, compute and send; never what a figure is."""

import json
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import redis

from benchmarks.floors.features import query_of
from benchmarks.floors.finished_run import FinishedRun
from benchmarks.floors.measure import floors_json, floors_of, floors_table
from benchmarks.growth import Size, growth
from benchmarks.publish.world import TABLES, make_snapshot
from conf import contract
from conf.connections import KafkaConnection
from conf.settings import Settings
from jobs.run.manifest import StageRecord
from jobs.storage.store import Storage
from tests.features.world import AS_OF, ago, at
from tests.jobs.runs import manifest_of

_USERS, _SOURCES, _DIMENSIONS = 60, 20, 4
_CLICKS = {"path": "clicks", "window": "3 days ago:today", "ignore_events": ["seen"]}
_BUYS = {"path": "buys", "window": "2 days ago:today", "columns": {"user_id": "who", "weight": "pieces"}}


@pytest.fixture
def run(tmp_path: Path) -> FinishedRun:
    """A run of two event datasets, two trainings and sixty lists."""
    settings = Settings.model_validate(
        {
            "product": "floors",
            "datasets": {"events": {"clicks": _CLICKS, "buys": _BUYS}},
            "interactions": {"event_weights": {"like": 1.0, "leave": -4.0}, "half_life_days": 1.0},
            "publish": {"partitions": 2},
        }
    )
    one = {"user_id": [1, 1, 2, 3], "source_id": [7, 7, 7, 8], "event": ["like", "seen", "leave", "like"]}
    _write_day(tmp_path / "data/clicks", 3, one)
    _write_day(tmp_path / "data/clicks", 1, {"user_id": [1], "source_id": [7], "event": ["like"]})
    _write_day(tmp_path / "data/buys", 2, {"who": [3], "source_id": [8], "event": ["like"], "pieces": [3.0]})
    inputs = [{"name": name, "days": _days(*days)} for name, days in {"clicks": (3, 1), "buys": (2,)}.items()]
    inputs.append({"name": "sources", "days": _days(1)})
    stages = {name: _stage() for name in ("train", "topn", "publish", "serve")} | {"features": _stage(inputs=inputs)}
    manifest = manifest_of(settings=settings.model_dump(mode="json"), stages=stages)
    run = FinishedRun(Storage(str(tmp_path)), manifest)
    _write_tables(run.folder, settings)
    return run


def test_the_query_weighs_every_event_of_the_run(run: FinishedRun, tmp_path: Path) -> None:
    with duckdb.connect() as connection:
        connection.execute(query_of(run, tmp_path / "pairs.parquet"))
    pairs = pq.read_table(tmp_path / "pairs.parquet").select(["user_id", "source_id", "weight"]).to_pylist()
    assert pairs == [  # user 2 only left; the event `seen` is ignored
        {"user_id": 1, "source_id": 7, "weight": 1 / 8 + 1 / 2},
        {"user_id": 3, "source_id": 8, "weight": 1 / 8 + 3 / 4},
    ]


def test_every_stage_has_a_floor(run: FinishedRun, kafka: KafkaConnection, clean_redis: redis.Redis) -> None:
    store = clean_redis.get_connection_kwargs()
    floors = floors_of(run, kafka.servers, f"redis://{store['host']}:{store['port']}/{store['db']}")
    assert [floor.stages for floor in floors] == [("features",), ("train",), ("topn",), ("publish", "serve")]
    assert all(part > 0 for floor in floors for part in (*floor.parts.values(), *floor.uncounted.values()))
    assert "2 fits by implicit" in floors[1].parts
    loaded = [clean_redis.hlen(key) for key in clean_redis.keys("*:floor-0:*")]
    assert sum(loaded) == _USERS
    told = floors_table(run.manifest, floors, 10.0)
    assert [line.split()[0] for line in told] == ["features", "train", "topn", "publish+serve", "whole"]
    result = json.loads(json.dumps(floors_json(run.manifest, floors, 10.0)))
    assert result["ratio"] == pytest.approx(10 / sum(stage["floor"] for stage in result["stages"]))
    assert result["stages"][3]["seconds"] == 2


def test_growth_is_what_more_events_cost() -> None:
    seconds, memory = growth(Size(1_000_000, 50, 2**30), Size(16_000_000, 110, 3 * 2**29))
    assert (seconds.value, seconds.result()["met"]) == (4, False)
    assert str(memory) == "peak memory of 16 times the events: 1.50 (goal ≤ 1.3)"


def _write_day(dataset: Path, days_ago: int, columns: dict[str, Any]) -> None:
    folder = dataset / f"dt={ago(days_ago)}"
    folder.mkdir(parents=True)
    times = pa.array([at(ago(days_ago))] * len(columns["event"]), pa.timestamp("us", tz="UTC"))
    pq.write_table(pa.table({**columns, "ts": times}), folder / "part-0.parquet")


def _days(*days_ago: int) -> list[dict[str, str]]:
    return [{"day": ago(day).isoformat()} for day in days_ago]


def _stage(**facts: Any) -> StageRecord:
    return StageRecord(finished_at=at(AS_OF), code_version="abc", seconds=1, peak_bytes={}, facts=facts)


def _write_tables(folder: Storage, settings: Settings) -> None:
    """Writes what the stages after `features` leave in the run's folder, as far as a floor reads it."""
    rng = np.random.default_rng(1)
    users, sources = np.repeat(np.arange(_USERS), 3), np.tile([1, 2, 3], _USERS) + np.repeat(np.arange(_USERS) % 9, 3)
    pairs = {"user_id": users, "source_id": sources, "weight": rng.random(len(users)) + 1}
    last = pa.array([at(AS_OF)] * len(users), pa.timestamp("us", tz="UTC"))
    interactions = pa.table({**pairs, "last_ts": last}, contract.interactions("int64"))
    for prefix in ("train_", ""):
        _write(folder, f"{prefix}interactions", interactions)
        facts = {"trained_on": f"{prefix}interactions", "iterations": 2}
        folder.write_bytes(f"{prefix}training.json", json.dumps(facts).encode())
        for side, size in (("user", _USERS), ("source", _SOURCES)):
            columns = {f"{side}_id": range(size), "factors": list(rng.random((size, _DIMENSIONS), np.float32))}
            schema = getattr(contract, f"{side}_factors")("int64")
            _write(folder, f"{prefix}{side}_factors", pa.table(columns, schema))
    batches = make_snapshot(TABLES[0], _USERS, settings.publish).batches
    snapshot = pa.Table.from_batches(batches)
    _write(folder, "snapshot", snapshot)
    _write(folder, "lists", snapshot.select(["user_id", "source_ids", "scores"]))


def _write(folder: Storage, name: str, table: pa.Table) -> None:
    folder.write_table(name, table.to_batches(), table.schema)
