"""A demo world after its last generated day: each further day begins with what the evening before left in its files.

No source is created or closed after the generated days, and nobody joins the network.
"""

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.random import Generator, default_rng

from deploy.demo.events import Day, draw_day
from deploy.demo.partitions import evening, source_table, write_partition
from deploy.demo.ranked import Indices, positions
from deploy.demo.tastes import Population, World, plant
from deploy.demo.truth import WorldError
from deploy.demo.volume import daily_events

MOST_DAYS = 26 * 7
"""Days that a world can live beyond its generated ones."""
_STREAM = 2  # of random numbers that no other draw of a day takes


@dataclass(frozen=True)
class Life:
    """A generated world that goes on."""

    folder: Path
    world: World
    population: Population

    @classmethod
    def of(cls, folder: Path) -> "Life":
        """Opens the world that `deploy.demo.world.generate` made. Raises WorldError where there is none."""
        try:
            told = json.loads((folder / "_truth" / "world.json").read_text())
        except FileNotFoundError as error:
            raise WorldError(f"{folder} holds no demo world: make it with python -m deploy.demo.world") from error
        world = World(**{**told, "as_of": dt.date.fromisoformat(told["as_of"])})
        return cls(folder, world, plant(world, default_rng([world.seed, 0])))

    def number(self, date: dt.date) -> int:
        """Returns the number of a day, counted from the first. Raises WorldError for one that cannot be lived now."""
        day, later = (date - self.world.first_day).days, (date - self.world.as_of).days
        if not 0 <= later < MOST_DAYS:
            last = self.world.as_of + dt.timedelta(days=MOST_DAYS - 1)
            raise WorldError(f"{date}: this world goes on from {self.world.as_of} to {last}")
        if younger := [name for name in self._days("clicks") if name > str(date)]:
            raise WorldError(f"{date}: this world has lived {max(younger)} already; days are lived in order")
        return day

    def random(self, day: int, stream: int = 0) -> Generator:
        """Returns the random numbers of a day; draws with different streams do not depend on each other."""
        return default_rng([self.world.seed, 1 + day, _STREAM, stream])

    def followed(self, date: dt.date) -> Indices:
        """Returns the sorted pairs of users and sources they follow in the morning. Raises WorldError as `number`."""
        self.number(date)
        before = date - dt.timedelta(days=1)
        if str(before) not in self._days("subscriptions"):
            raise WorldError(f"{date}: this world has not lived {before} yet; days are lived in order")
        table = pq.ParquetFile(self.folder / "subscriptions" / f"dt={before}" / "part-0.parquet").read()
        truth = self.population.truth
        users = positions(table["user_id"], truth.user_ids, "user")
        return np.sort(users * self.population.sources + positions(table["source_id"], truth.source_ids, "source"))

    def without_lists(self, day: int, followed: Indices) -> Day:
        """Draws what users do by themselves on a day, whatever lists they get."""
        counts = daily_events(self.world, MOST_DAYS)[day]
        return draw_day(self.population, followed, day, counts, self.random(day))

    def write(self, date: dt.date, tables: Mapping[str, pa.Table], followed: Indices) -> None:
        """Writes a day's datasets, and the snapshots of its evening; the same day written again is replaced."""
        day = (date - self.world.first_day).days
        snapshots = evening(self.population, source_table(self.world, self.population), followed, day)
        for name, table in {**tables, **snapshots}.items():
            write_partition(self.folder / name, date, table)

    def _days(self, dataset: str) -> list[str]:
        return [path.parent.name.removeprefix("dt=") for path in (self.folder / dataset).glob("dt=*/_SUCCESS")]
