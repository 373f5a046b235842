"""Events → interactions: the product's Spark code beside one query of DuckDB over the same Parquet files.

Weights by event and age, one row per pair, positive ones only, sorted, written to Parquet. Ours also checks every row
and keeps the daily partials; a second row of the table is the time from kept partials. Both results must agree.
"""

import datetime as dt
import shutil
import time
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from benchmarks.training.errors import TrainingBenchError
from benchmarks.training.plan import CORES, Plan
from benchmarks.training.row import Row, share_of
from benchmarks.training.weeks import WINDOW_DAYS, Weeks
from conf import contract
from features.interactions import Span, interactions_of, weigh_pairs
from features.partials import daily_partials, valid_rows
from jobs.storage.store import Storage
from jobs.storage.tables import Tables

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
    """Times both from events, and ours from kept partials. Raises TrainingBenchError when the interactions differ."""
    weeks = Weeks.make(plan, "aggregation")
    made, queried = weeks.folder / "ours", weeks.folder / "duckdb"
    queried.mkdir()
    _ours(weeks, made)
    _duckdb(weeks, queried)
    schema = contract.interactions(weeks.settings.ids)
    both = (ds.dataset(path, format="parquet").to_table() for path in (made / "interactions", queried))
    compare(*(table.cast(schema) for table in both))
    ours, again, rival = [], [], []
    for _ in range(plan.rounds):
        shutil.rmtree(weeks.folder / "partials")
        ours.append(_ours(weeks, made))
        rival.append(_duckdb(weeks, queried))
        again.append(_ours(weeks, made))
    return [
        share_of("events → interactions", "s", ours, rival, "DuckDB, the same query", 2),
        share_of("  from kept daily partials", "s", again, rival, "DuckDB, from events", None),
    ]


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


def _duckdb(weeks: Weeks, out: Path) -> float:
    files = [str(weeks.folder / f"events/dt={day}/part-0.parquet") for day in _days(weeks)]
    with duckdb.connect() as connection:
        connection.execute(f"SET threads = {CORES}; SET TimeZone = 'UTC'")
        start = time.perf_counter()
        connection.execute(_QUERY.format(as_of=weeks.as_of, files=files, out=out / "interactions.parquet"))
        return time.perf_counter() - start


def _days(weeks: Weeks) -> list[dt.date]:
    return [weeks.as_of - dt.timedelta(age) for age in range(WINDOW_DAYS, 0, -1)]


def compare(one: pa.Table, other: pa.Table) -> None:
    """Raises TrainingBenchError unless both hold the same pairs in the same order, with the same weights and times."""
    same = len(one) == len(other) and all(
        pc.all(pc.equal(one[name], other[name])).as_py() for name in ("user_id", "source_id", "last_ts")
    )
    if not same or not np.allclose(one["weight"], other["weight"], rtol=1e-6):
        raise TrainingBenchError(f"ours ({len(one):,}) and DuckDB's ({len(other):,}) interactions differ: a defect")
