"""The datasets themselves, read in plain Python: what no list may hold, found without any of our code."""

import datetime as dt
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pyarrow.parquet as pq
import yaml

from conf.ids import UserId
from deploy.chain import REPO

REFERENCE = yaml.safe_load((REPO / "conf/prod_discovery.yml").read_text())
WINDOWS = {"reactions": 10, "clicks": 9, "joins": 14}
"""Days of each event dataset in the reference config, said once more so that the check is independent of it."""
SNAPSHOTS = ("subscriptions", "sources", "blocks", "audience")
Pairs = set[tuple[UserId, UserId]]


def reference(name: str, world: Path) -> dict[str, Any]:
    """Settings of the reference product under another name, over another world."""
    kept = {key: REFERENCE[key] for key in ("datasets", "interactions", "split")}
    return {"product": name, "data_root": str(world), **kept}


def check_lists(world: Path, as_of: dt.date, rows: list[dict[str, Any]]) -> None:
    """No list of `rows` holds a source that is seen, subscribed, blocked, owned or not eligible in the raw datasets."""
    midnight = dt.datetime.combine(as_of, dt.time(), dt.UTC)
    excluded: Pairs = set()
    for name, days in WINDOWS.items():
        for day in days_before(as_of, days):
            excluded |= _pairs(pq.read_table(world / name / f"dt={day}").to_pylist())
    excluded |= _pairs(newest(world / "subscriptions", as_of)) | _pairs(newest(world / "blocks", as_of))
    catalogue = newest(world / "sources", as_of)
    excluded |= {(row["owner_id"], row["source_id"]) for row in catalogue}
    active = {r["source_id"] for r in catalogue if r["status"] == "active" and r["created_at"] < midnight}
    listed = {(row["user_id"], source) for row in rows for source in row["source_ids"]}
    assert len(excluded) > 1_000
    assert 0 < len(active) < len(catalogue)
    assert not listed & excluded
    assert {source for _, source in listed} <= active
    assert all(len(set(row["source_ids"])) == len(row["source_ids"]) <= 10 for row in rows)
    assert sum(len(row["source_ids"]) == 10 for row in rows) > len(rows) / 2


def _pairs(rows: list[dict[str, Any]]) -> Pairs:
    return {(row["user_id"], row["source_id"]) for row in rows}


def newest(dataset: Path, as_of: dt.date) -> list[dict[str, Any]]:
    """The rows of the newest partition before or on a day."""
    newest = max(path for path in dataset.glob("dt=*") if path.name <= f"dt={as_of}")
    rows: list[dict[str, Any]] = ds.dataset(newest, format="parquet").to_table().to_pylist()
    return rows


def days_before(end: dt.date, days: int) -> list[str]:
    """The days before `end`, oldest first."""
    return [str(end - dt.timedelta(days=ago)) for ago in range(days, 0, -1)]
