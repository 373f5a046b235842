"""The floor of `features`: one query of DuckDB from the event files to one table of weighed pairs."""

import datetime as dt
import tempfile
from collections.abc import Iterator
from pathlib import Path

import duckdb

from benchmarks.floors.finished_run import FinishedRun
from benchmarks.floors.floor import CORES, Floor, best_seconds
from conf.datasets import EventDataset
from conf.settings import InteractionSettings

_EVENTS = """
SELECT {user} AS user_id, {source} AS source_id, {ts} AS ts, {weight} AS weight
FROM read_parquet({files}, hive_partitioning = true, hive_types = {{'dt': DATE}})
"""
_QUERY = """
COPY (
    SELECT user_id, source_id, sum(weight) AS weight, max(ts) AS last_ts
    FROM ({events})
    GROUP BY user_id, source_id
    HAVING sum(weight) > 0
    ORDER BY user_id, source_id
) TO {out} (FORMAT parquet)
"""


def features_floor(run: FinishedRun) -> Floor:
    """Returns the seconds to read every event partition of the run, weigh, group, sort and write the pairs.

    The stage writes up to ten tables, of two spans of days, and reads snapshots too.
    """
    with tempfile.TemporaryDirectory(prefix="discovery-floor-") as folder, duckdb.connect() as connection:
        query = query_of(run, Path(folder) / "interactions.parquet")
        connection.execute(f"SET threads = {CORES}; SET TimeZone = 'UTC'")
        return Floor(("features",), {"DuckDB, events → pairs": best_seconds(lambda: connection.execute(query))})


def query_of(run: FinishedRun, out: Path) -> str:
    """Returns the query, which writes the file `out`."""
    return _QUERY.format(events=" UNION ALL ".join(_events(run)), out=_text(str(out)))


def _events(run: FinishedRun) -> Iterator[str]:
    settings, as_of = run.settings, run.manifest.request.as_of
    data = run.home.child(settings.data_root)
    for record in run.manifest.fact("features", "inputs"):
        dataset = settings.datasets.events.get(record["name"])
        if dataset is not None and record["days"]:
            folder = data.child(dataset.path).location.path
            files = ", ".join(_text(f"{folder}/dt={day['day']}/*.parquet") for day in record["days"])
            yield _EVENTS.format(
                user=_name(dataset.columns.user_id),
                source=_name(dataset.columns.source_id),
                ts=_name(dataset.columns.ts),
                weight=_weight(dataset, settings.interactions, as_of),
                files=f"[{files}]",
            )


def _weight(dataset: EventDataset, settings: InteractionSettings, as_of: dt.date) -> str:
    """Returns the weight of an event by its name, its age and, if there is one, the weight column."""
    cases = " ".join(f"WHEN {_text(name)} THEN {weight!r}" for name, weight in settings.event_weights.items())
    age = f"date_diff('day', dt, DATE '{as_of}')"
    factors = [
        f"CASE {_name(dataset.columns.event)} {cases} END::DOUBLE",  # without a weight it is null, which adds nothing
        f"pow(2, -{age} / {settings.half_life_days!r}::DOUBLE)",
        *map(_name, dataset.columns.multipliers.values()),
    ]
    return " * ".join(factors)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'
