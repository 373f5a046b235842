"""Weekly runs over real data: healthy weeks that the input statistics stop, and faults of the new week that they see.

Statistics of days are judged (nothing is trained); every week by the weeks before it, faults in every `every`-th week
with half a year of past.
"""

import datetime as dt
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.random import Generator, default_rng
from pyspark.sql import SparkSession

from benchmarks.drift.faults import some, thinned, without
from benchmarks.drift.week import distinct
from benchmarks.real_input import KNOWN, days_of, read_events, write_dataset
from conf.load import load_settings
from conf.settings import Settings
from deploy.chain import REPO
from expectations.drift.checks import ranked
from expectations.drift.findings import Finding
from expectations.drift.history import History, Measured
from expectations.drift.judge import Judged, judge
from expectations.drift.measure_past import measure_past
from jobs.storage.datasets import SparkCatalog
from jobs.storage.store import Storage

Fault = Callable[[pa.Table, Generator], pa.Table]
_WEEK, _FIRST, _PAST_OF_FAULTS = 7, 35, 26
_DATASET = "events"


def _less_of_the_first_name(table: pa.Table, rng: Generator) -> pa.Table:
    return thinned(table, 0.3, rng, np.asarray(pc.equal(table["event"], pc.min(table["event"]))))


def _heavier(table: pa.Table, rng: Generator) -> pa.Table:
    del rng
    place = table.schema.get_field_index("weight")
    return table.set_column(place, "weight", pc.multiply(table["weight"].cast(pa.float64()), 1.5))


def _half_of_the_users(table: pa.Table, rng: Generator) -> pa.Table:
    return without(table, "user_id", some(distinct(table["user_id"]), 0.5, rng))


def _fifth_of_the_users(table: pa.Table, rng: Generator) -> pa.Table:
    return without(table, "user_id", some(distinct(table["user_id"]), 0.2, rng))


FAULTS: Mapping[str, Fault] = {
    "one event name − 30 %": _less_of_the_first_name,
    "weights × 1.5": _heavier,
    "users − 50 %": _half_of_the_users,
    "users − 20 %": _fifth_of_the_users,
}


@dataclass
class RealWeeks:
    """What became of the weeks of one data set."""

    name: str
    weeks: int = 0
    """Judged healthy weeks."""
    stopped: list[str] = field(default_factory=list)
    """Healthy weeks that were stopped, and by what."""
    seen: dict[str, list[int]] = field(default_factory=dict)
    """Fault → whether it was seen, for each week that it was planted in."""


def real(spark: SparkSession, name: str, data: Path, every: int, seed: int) -> RealWeeks:
    """Returns what the statistics of days say of every week of a data set. Raises RealInputError."""
    settings, found = _settings(name), RealWeeks(name)
    with tempfile.TemporaryDirectory(prefix="drift-real-") as folder:
        root = Path(folder)
        events = read_events(name, data)
        first, last = (dt.date(1970, 1, 1) + dt.timedelta(days=int(day)) for day in days_of(events)[[0, -1]])
        write_dataset(events, root / "clean" / _DATASET)
        history = History([])
        for number, as_of in enumerate(_weeks(first, last)):
            measured = _measured(spark, settings, root, "clean", as_of)
            blocking = _blocking(history, measured, as_of)
            found.weeks += 1
            found.stopped += [f"{as_of} {one.full_name}" for one in blocking[:1]]
            if number >= _PAST_OF_FAULTS and number % every == 0:
                for fault, change in FAULTS.items():
                    _plant(root, as_of, change, default_rng([seed, number]))
                    alarms = _blocking(history, _measured(spark, settings, root, "faulty", as_of), as_of)
                    found.seen.setdefault(fault, []).append(int(bool(alarms)))
                    shutil.rmtree(root / "faulty")
            history = history.with_measured(measured)
    return found


def _settings(name: str) -> Settings:
    """Returns the settings of the data set's product, which reads the weights here."""
    tree = load_settings(REPO / f"conf/{name}.yml").model_dump(mode="json")
    tree["datasets"]["events"][_DATASET]["columns"]["weight"] = "weight"
    assert KNOWN[name].ids == tree["ids"]
    return Settings.model_validate(tree)


def _weeks(first: dt.date, last: dt.date) -> Iterator[dt.date]:
    day = first + dt.timedelta(days=_FIRST)
    while day <= last + dt.timedelta(days=1):
        yield day
        day += dt.timedelta(days=_WEEK)


def _measured(spark: SparkSession, settings: Settings, root: Path, data: str, as_of: dt.date) -> list[Measured]:
    catalog = SparkCatalog(lambda: spark, Storage(str(root / data)), Storage(str(root / "partials")))
    return measure_past(catalog, settings, as_of, _WEEK)[0]


def _blocking(history: History, measured: list[Measured], as_of: dt.date) -> list[Finding]:
    days = [as_of - dt.timedelta(days=ago) for ago in range(1, _WEEK + 1)]
    case = Judged(as_of, {_DATASET: days}, {_DATASET: days}, false_alarms_per_year=1.0, runs_per_year=52.0)
    findings = judge(history.with_measured(measured), case, [one.key for one in measured])
    return [one for one in ranked(findings) if one.blocks]


def _plant(root: Path, as_of: dt.date, change: Fault, rng: Generator) -> None:
    """Makes `faulty` of links to the clean files, with the fault in the new week."""
    shutil.copytree(root / "clean", root / "faulty", copy_function=os.link)
    days = [root / "faulty" / _DATASET / f"dt={as_of - dt.timedelta(days=ago)}" for ago in range(1, _WEEK + 1)]
    files = [file for day in days for file in sorted(day.glob("*.parquet"))]
    tables = [pq.read_table(file) for file in files]
    places = [pa.array(np.full(table.num_rows, number)) for number, table in enumerate(tables)]
    week = [table.append_column("file", place) for table, place in zip(tables, places, strict=True)]
    changed = change(pa.concat_tables(week), rng)  # as a whole, so that a lost user is lost on every day
    for number, file in enumerate(files):
        file.unlink()  # a link to the clean one
        pq.write_table(changed.filter(np.asarray(changed["file"]) == number).drop_columns("file"), file)
