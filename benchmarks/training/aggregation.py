"""Events → interactions: the product's Spark code beside plain Spark and DuckDB, one query each over the same files.

Weights by event and age, one row per pair, positive ones only, sorted, written to Parquet. Ours also checks every row
and keeps the daily partials; a row of the table is the time from kept partials. All results must agree. A second time
with eleven copies of every user: 24 million events in the window. An uncounted turn comes first; --quick counts it.
"""

import datetime as dt
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from pyspark.sql import functions as sf

from benchmarks.training.errors import TrainingBenchError
from benchmarks.training.plan import CORES, Plan
from benchmarks.training.row import Row, share_of
from benchmarks.training.weeks import WINDOW_DAYS, Weeks
from conf import contract
from features.interactions import Span, interactions_of, weigh_pairs
from features.partials import daily_partials, valid_rows
from jobs.storage.store import Storage
from jobs.storage.tables import Tables

_COPIES = 11
_QUERY = """
COPY (
    SELECT
        user_id,
        source_id,
        sum(CASE event WHEN 'main' THEN 1.0 WHEN 'side' THEN 0.5 END * pow(2, -age / 7)) AS weight,
        max(ts) AS last_ts
    FROM (SELECT *, date_diff('day', dt, DATE '{as_of}')::DOUBLE AS age
          FROM read_parquet({files}, hive_partitioning = true, hive_types = {{'dt': DATE}}))
    GROUP BY user_id, source_id
    HAVING weight > 0
    ORDER BY user_id, source_id
) TO '{out}' (FORMAT parquet)
"""


def measure(plan: Plan) -> list[Row]:
    """Times all from events, and ours from kept partials. Raises TrainingBenchError when the interactions differ."""
    return [*_measured(plan, 1, in_spark=1.5, in_duckdb=None), *_measured(plan, _COPIES, in_spark=None, in_duckdb=5)]


def _measured(plan: Plan, copies: int, *, in_spark: float | None, in_duckdb: float | None) -> list[Row]:
    weeks = Weeks.make(plan, f"aggregation-{copies}", copies)
    arms: dict[str, Callable[[Path], float]] = {
        "ours": lambda out: _ours(weeks, out),
        "again": lambda out: _ours(weeks, out),
        "plain": lambda out: _plain(weeks, out),
        "duckdb": lambda out: _duckdb(weeks, out),
    }
    first = _turn(weeks, arms)
    _compare_all(weeks, arms)
    turns = [first] if plan.quick else [_turn(weeks, arms) for _ in range(plan.rounds)]
    seconds = {name: [turn[name] for turn in turns] for name in arms}
    shutil.rmtree(weeks.folder)
    ours, millions = seconds["ours"], f"{weeks.events_in_window / 1e6:.1f} M events"
    return [
        share_of(f"{millions} → interactions", "s", ours, seconds["plain"], "Spark, groupBy and orderBy", in_spark),
        share_of("  beside DuckDB", "s", ours, seconds["duckdb"], "DuckDB, the same query", in_duckdb),
        share_of("  from kept partials", "s", seconds["again"], seconds["duckdb"], "DuckDB, from events", None),
    ]


def _turn(weeks: Weeks, arms: Mapping[str, Callable[[Path], float]]) -> dict[str, float]:
    """Returns the seconds of each arm, the first of which finds no daily partials."""
    shutil.rmtree(weeks.folder / "partials", ignore_errors=True)
    return {name: arm(weeks.folder / name) for name, arm in arms.items()}


def _compare_all(weeks: Weeks, names: Iterable[str]) -> None:
    ours, *others = (_table(weeks.folder / name) for name in names)
    schema = contract.interactions(weeks.settings.ids)
    one = ds.dataset(ours, format="parquet").to_table().cast(schema)
    for other in others:
        compare(one, ds.dataset(other, format="parquet").to_table().cast(schema))


def _ours(weeks: Weeks, out: Path) -> float:
    shutil.rmtree(out, ignore_errors=True)
    settings, catalog = weeks.settings, weeks.catalog(weeks.folder / "partials")
    dataset = settings.datasets.events["events"]
    start = time.perf_counter()
    partitions = catalog.partitions(dataset, _days(weeks)).finished
    daily_partials("events", dataset, partitions, settings.ids, catalog)
    span = Span("run", {"events": _days(weeks)}, weeks.as_of)
    partials = valid_rows(catalog.partials.read("events", _days(weeks), settings.ids))
    pairs = span.pairs_of(weigh_pairs({"events": partials}, [span], settings.interactions))
    tables = Tables(weeks.plan.spark(), Storage(str(out)))
    tables.write("interactions", interactions_of(pairs), contract.interactions(settings.ids))
    return time.perf_counter() - start


def _plain(weeks: Weeks, out: Path) -> float:
    """Runs what anybody would write in Spark first: it checks nothing, keeps nothing, and adds in any order."""
    shutil.rmtree(out, ignore_errors=True)
    start = time.perf_counter()
    reader = weeks.plan.spark().read.option("basePath", str(weeks.folder / "events"))
    events = reader.parquet(*(str(weeks.folder / f"events/dt={day}") for day in _days(weeks)))
    age = sf.datediff(sf.lit(weeks.as_of), "dt")
    weights = sf.when(sf.col("event") == "main", 1.0).when(sf.col("event") == "side", 0.5)
    sums = sf.sum("term").alias("weight"), sf.max("ts").alias("last_ts")
    terms = events.select("user_id", "source_id", "ts", (weights * sf.pow(sf.lit(2.0), -age / 7)).alias("term"))
    pairs = terms.groupBy("user_id", "source_id").agg(*sums)
    pairs.where("weight > 0").orderBy("user_id", "source_id").write.parquet(str(out))
    return time.perf_counter() - start


def _duckdb(weeks: Weeks, out: Path) -> float:
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    return query(weeks, _days(weeks), out / "interactions.parquet")


def query(weeks: Weeks, days: Sequence[dt.date], out: Path) -> float:
    """Runs DuckDB's query over some days. Returns its seconds."""
    files = [str(weeks.folder / f"events/dt={day}/part-0.parquet") for day in days]
    with duckdb.connect() as connection:
        connection.execute(f"SET threads = {CORES}; SET TimeZone = 'UTC'")
        start = time.perf_counter()
        connection.execute(_QUERY.format(as_of=weeks.as_of, files=files, out=out))
        return time.perf_counter() - start


def _table(out: Path) -> Path:
    return out / "interactions" if (out / "interactions").is_dir() else out


def _days(weeks: Weeks) -> list[dt.date]:
    return [weeks.as_of - dt.timedelta(age) for age in range(WINDOW_DAYS, 0, -1)]


def compare(one: pa.Table, other: pa.Table) -> None:
    """Raises TrainingBenchError unless both hold the same pairs in the same order, with the same weights and times."""
    same = len(one) == len(other) and all(
        pc.all(pc.equal(one[name], other[name])).as_py() for name in ("user_id", "source_id", "last_ts")
    )
    if not same or not np.allclose(one["weight"], other["weight"], rtol=1e-6):
        raise TrainingBenchError(f"ours ({len(one):,}) and DuckDB's ({len(other):,}) interactions differ: a defect")
