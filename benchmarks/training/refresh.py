"""The weekly refresh with the daily partials of the week before, beside a full recompute of the 28 days.

Both are the features stage over the same files in one warm session; the full one finds an empty folder of partials.
"""

import datetime as dt
import shutil
import time
from pathlib import Path

from benchmarks.training.aggregation import query
from benchmarks.training.plan import Plan
from benchmarks.training.row import Row, share_of
from benchmarks.training.weeks import WEEK_DAYS, Weeks

_GOAL = 8
"""Times of DuckDB over the new days alone: it reads, groups and sorts them, and writes the interactions."""


def measure(plan: Plan) -> list[Row]:
    """Returns the seconds of the stage up to the interactions, and up to all of its tables."""
    weeks = Weeks.make(plan, "refresh")
    kept, took = weeks.folder / "kept", {"kept": list[tuple[float, float]](), "full": []}
    _stage(weeks, weeks.as_of - dt.timedelta(WEEK_DAYS), kept)  # last week's run, which also warms Spark
    new_days = [weeks.as_of - dt.timedelta(age) for age in range(WEEK_DAYS, 0, -1)]
    rival = []
    for _ in range(plan.rounds):
        for name, seconds in took.items():
            partials = weeks.folder / "partials"
            if name == "kept":
                shutil.copytree(kept, partials)
            seconds.append(_stage(weeks, weeks.as_of, partials))
            shutil.rmtree(partials)
        rival.append(query(weeks, new_days, weeks.folder / "new.parquet"))
    rows = []
    for at, what in enumerate(("weekly refresh: events → interactions", "weekly refresh: all tables of the stage")):
        ours, full = ([both[at] for both in took[name]] for name in ("kept", "full"))
        rows.append(share_of(what, "s", ours, full, "full recompute of 28 days", None))
    return [*rows, share_of("  beside DuckDB", "s", ours, rival, "DuckDB, interactions of the new days", _GOAL)]


def _stage(weeks: Weeks, as_of: dt.date, partials: Path) -> tuple[float, float]:
    """Returns the seconds until the interactions are written, and until all tables are."""
    out = weeks.folder / "out"
    start = time.perf_counter()
    features = weeks.features(as_of, partials)
    weeks.write(features, out, "interactions")
    interactions = time.perf_counter() - start
    weeks.write(features, out)
    features.release()
    everything = time.perf_counter() - start
    shutil.rmtree(out)
    return interactions, everything
