"""What the measurements share: the data, the number of rounds, a work folder, and one Spark session."""

import datetime as dt
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import SparkSession

from benchmarks.quality.deck_cards import CUT, part_at
from benchmarks.quality.part import SplitPart
from benchmarks.real_input import read_events
from conf.settings import SparkSettings
from jobs.run.session import open_session

CORES = 2
"""Cores of every arm, ours and the rival's."""
_DAY_SECONDS = 86_400


@dataclass(frozen=True)
class Plan:
    """What to measure with; `quick` takes a small generated world instead of deck_cards, whose figures mean nothing."""

    data: Path
    """Folder of deck_cards.parquet."""
    folder: Path
    """Work folder of the measurements."""
    rounds: int
    quick: bool
    spark: Callable[[], SparkSession]

    @cached_property
    def events(self) -> pa.Table:
        """One row per event, in order of time. Raises RealInputError when the file is missing."""
        return generated_events() if self.quick else read_events("deck_cards", self.data)

    def part(self, weeks_ago: int = 0) -> SplitPart:
        """Returns the 180 days before the cut of the temporal protocol, or before the day `weeks_ago` earlier."""
        return part_at(self.events, CUT - dt.timedelta(weeks=weeks_ago))

    def new_folder(self, name: str) -> Path:
        """Makes a new folder in the work folder."""
        made = self.folder / name
        made.mkdir(parents=True)
        return made


def generated_events(users: int = 300, sources: int = 150, events: int = 20_000) -> pa.Table:
    """Returns events of 40 days before and 14 days after the cut, as `read_events` does; each user has a taste."""
    random = np.random.default_rng(3)
    user = random.integers(users, size=events)
    source = (user % 6 * (sources // 6) + (sources // 3 * random.random(events) ** 2).astype(np.int64)) % sources
    first = (CUT - dt.date(1970, 1, 1)).days - 40
    seconds = first * _DAY_SECONDS + np.sort(random.integers(54 * _DAY_SECONDS, size=events))
    columns: dict[str, Any] = {
        "user_id": user,
        "source_id": source,
        "event": random.choice(["main", "side"], events, p=[0.8, 0.2]),
        "ts": pa.array(seconds * 1_000_000, pa.timestamp("us", "UTC")),
        "weight": np.ones(events, np.int32),
    }
    return pa.table(columns)


def start_spark() -> SparkSession:
    """Opens the product's session on two cores of this machine."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    settings = {
        "spark.driver.memory": "6g",
        "spark.driver.extraJavaOptions": "--add-modules=jdk.incubator.vector",  # its fastest BLAS without native ones
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    builder = SparkSession.builder.master(f"local[{CORES}]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    builder.getOrCreate()
    return open_session("benchmarks.training", SparkSettings())
