"""A small random world of five weeks for the measuring of drift, as pandas frames and as a catalog."""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pyspark.sql import SparkSession

from conf.ids import IdKind
from conf.settings import Settings
from tests.features.fakes import FakeCatalog
from tests.features.world import AS_OF, ago

USERS, SOURCES = 240, 60
_UTC = pa.timestamp("us", "UTC")


@dataclass
class World:
    """Event datasets with a column `day` (days since the first of 35), and snapshots."""

    events: dict[str, pd.DataFrame]
    snapshots: dict[str, pd.DataFrame]


def world(seed: int = 3) -> World:
    """Returns a world in which users keep some sources, some follow, and some sources are closed or unknown."""
    rng = np.random.default_rng(seed)
    clicks = _events(rng, 9000, ["like", "share"])
    joins = _events(rng, 1500, ["join"])
    pairs = clicks[["user_id", "source_id"]].drop_duplicates()
    return World(
        {"clicks": clicks, "joins": joins[joins.user_id > 20]},
        {
            "subscriptions": pairs[(pairs.user_id % 3 > 0) & ((pairs.user_id + pairs.source_id) % 2 == 0)],
            "sources": pd.DataFrame(
                {
                    "source_id": range(SOURCES - 5),
                    "status": ["closed" if i % 9 == 4 else "active" for i in range(SOURCES - 5)],
                }
            ),
            "audience": pd.DataFrame({"user_id": range(USERS), "segment": ["AB"[i % 3 == 0] for i in range(USERS)]}),
        },
    )


def _events(rng: np.random.Generator, count: int, names: list[str]) -> pd.DataFrame:
    user = np.minimum(rng.geometric(0.01, count), USERS - 1)
    source = (user * 7 + rng.geometric(0.08, count)) % SOURCES
    frame = pd.DataFrame(
        {
            "user_id": user,
            "source_id": source,
            "event": rng.choice(names, count),
            "day": rng.integers(0, 35, count),
            "hour": rng.binomial(23, 0.6, count),
            "weight": rng.choice([0.5, 1.0, 2.5], count),
        }
    )
    late = (frame.user_id > 200) | (frame.source_id > 55)
    return frame[~late | (frame.day > 29)].reset_index(drop=True)


def catalog(
    spark: SparkSession, made: World, ids: IdKind = "int64", lost: Mapping[str, set[int]] = {}, age: int = 1
) -> FakeCatalog:
    """Returns the world's datasets; `lost`: days of event datasets that are missing; `age` of snapshots."""
    name: Callable[[Any], Any] = str if ids == "string" else int
    id_type = pa.string() if ids == "string" else pa.int64()
    tables: dict[str, dict[dt.date, pa.Table | None]] = {}
    for dataset, frame in made.events.items():
        days = {*range(35)} - lost.get(dataset, set())
        tables[dataset] = {ago(35 - day): _rows(frame[frame.day == day], ago(35 - day), name, id_type) for day in days}
    for snapshot, frame in made.snapshots.items():
        columns = {
            column: pa.array([name(x) for x in values], id_type) if column.endswith("_id") else pa.array(values)
            for column, values in frame.items()
        }
        tables[snapshot] = {ago(age): pa.table(columns)}
    return FakeCatalog(spark, tables)


def _rows(frame: pd.DataFrame, day: dt.date, name: Callable[[Any], Any], id_type: pa.DataType) -> pa.Table:
    start = dt.datetime.combine(day, dt.time(), dt.UTC)
    return pa.table(
        {
            "user_id": pa.array([name(x) for x in frame.user_id], id_type),
            "source_id": pa.array([name(x) for x in frame.source_id], id_type),
            "event": pa.array(frame.event, pa.string()),
            "ts": pa.array([start + dt.timedelta(hours=int(hour)) for hour in frame.hour], _UTC),
            "weight": pa.array(frame.weight, pa.float64()),
        }
    )


def settings(made: World, ids: IdKind = "int64", **clicks: Any) -> Settings:
    """Returns the settings of the world's product; `clicks`: more of that dataset."""
    events = {name: {"path": name, "window": "10 days ago:today"} for name in made.events}
    events["clicks"] |= clicks
    snapshots: dict[str, Any] = {name: {"path": name} for name in made.snapshots}
    if "audience" in snapshots:
        snapshots["audience"]["columns"] = {"segment": "segment"}
    tree = {
        "product": "test",
        "ids": ids,
        "datasets": {"events": events, **snapshots},
        "interactions": {"event_weights": {"like": 1.0, "share": 2.0, "join": 3.0}},
    }
    return Settings.model_validate(tree)


__all__ = ["AS_OF", "World", "catalog", "settings", "world"]
