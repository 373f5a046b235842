"""Daily partials: each day's events per (user, source, event), made once and reused by later runs."""

import datetime as dt
import json
import logging
import math
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as sf

from conf.datasets import EventDataset
from conf.digest import sha256_of
from conf.ids import IdKind
from features.errors import UnknownEventsError
from features.exact_sum import exact_sum
from features.hash_columns import count_users
from features.reading.catalog import Catalog, DayPartition, PartialRecord
from features.reading.rows import ERASED, IGNORED, check_all_read, check_rows, faults_in, read_rows
from features.tables import union_of

_LOG = logging.getLogger(__name__)

MAX_EVENT_NAMES = 1000
"""Most different event names per day on average; a column with more is not one of event names."""
ROWS_PER_TASK = 2**22
"""Raw rows of a day that one task groups; a larger day is split by users."""


@dataclass(frozen=True)
class DailyPartials:
    """The finished partials of one dataset."""

    name: str
    records: tuple[PartialRecord, ...]
    """One per day, oldest first."""
    reused: tuple[dt.date, ...]
    """Days that an earlier run had made."""


def daily_partials(
    name: str, dataset: EventDataset, partitions: Sequence[DayPartition], ids: IdKind, catalog: Catalog
) -> DailyPartials:
    """Returns the partials of the partitions; only new or changed days are read, all of them in one pass.

    Raises BrokenPartitionError if the number of rows differs from the footers', and UnknownEventsError if a column of
    event names has too many of them.
    """
    wanted = {partition.day: partition.fingerprint for partition in partitions}
    alike = kept_before(name, dataset, wanted, ids, catalog)
    # The files of days that are made again anyway are not compared with their records.
    kept = catalog.partials.finished(name, [one.day for one in alike if one.fingerprint == wanted[one.day]])
    reused = tuple(record.day for record in kept)
    stale = [partition for partition in partitions if partition.day not in reused]
    start = time.monotonic()
    made = _make(name, dataset, stale, ids, catalog) if stale else []
    took = time.monotonic() - start
    _LOG.info("features  partials of %s: %d days made, %d kept · %.1f s", name, len(made), len(reused), took)
    return DailyPartials(name, tuple(sorted((*kept, *made), key=lambda record: record.day)), reused)


def kept_before(
    name: str, dataset: EventDataset, days: Collection[dt.date], ids: IdKind, catalog: Catalog
) -> tuple[PartialRecord, ...]:
    """Returns records of those days that earlier runs made in the same way, oldest first; their data is not read."""
    wanted = settings_hash_of(dataset, ids)
    return tuple(record for record in catalog.partials.recorded(name, days) if record.settings_hash == wanted)


def check_partials(
    partials: DailyPartials, dataset: EventDataset, days: Collection[dt.date], event_names: Collection[str]
) -> None:
    """Raises BadRowsError if a day has too many bad rows, UnknownEventsError with every unknown event name."""
    records = [record for record in partials.records if record.day in days]
    for record in records:
        check_rows(partials.name, dataset, record.day, record.rows, record.dropped)
    unknown: dict[str, int] = {}
    for record in records:
        for event in record.events.keys() - set(event_names):
            unknown[event] = unknown.get(event, 0) + record.events[event]
    if unknown:
        named = ", ".join(f"{event!r} ({count:,} events)" for event, count in sorted(unknown.items())[:20])
        raise UnknownEventsError(
            f"dataset {partials.name!r} ({dataset.path}) holds {len(unknown)} event names without a weight: {named}. "
            f"Weigh them in interactions.event_weights or list them in ignore_events of the dataset"
        )


def settings_hash_of(dataset: EventDataset, ids: IdKind) -> str:
    """Returns a hash of the settings that determine a day's partials; event weights are not among them."""
    content = {
        "columns": dataset.columns.model_dump(),
        "ignore_events": sorted(dataset.ignore_events),
        "day_of": dataset.day_of,
        "lateness_days": dataset.lateness_days if dataset.day_of == "ingestion" else 0,
        "ids": ids,
        "version": 4,
    }
    return sha256_of(json.dumps(content, sort_keys=True))[:16]


def valid_rows(partials: DataFrame) -> DataFrame:
    """Returns the rows that count: contract.daily_partials and `dt`."""
    return partials.where("left_out IS NULL").drop("left_out")


def _make(
    name: str,
    dataset: EventDataset,
    partitions: Sequence[DayPartition],
    ids: IdKind,
    catalog: Catalog,
) -> list[PartialRecord]:
    store, settings_hash = catalog.partials, settings_hash_of(dataset, ids)
    days = [partition.day for partition in partitions]
    largest = max(partition.rows for partition in partitions)
    rows = read_rows(dataset, partitions, ids, catalog)
    store.stage(name, days, _aggregate(rows, weighed=bool(dataset.columns.multipliers), largest=largest))
    groups, users = _counts(name, store.read(name, days, ids), len(days))
    records = [
        _record(name, dataset, partition, settings_hash, groups.get(partition.day, ()), users.get(partition.day, 0))
        for partition in partitions
    ]
    store.finish(name, records)
    return records


def _aggregate(rows: DataFrame, *, weighed: bool, largest: int) -> DataFrame:
    """Returns counts per (day, user, source, event), and of left out rows per (day, reason), in one pass.

    A day's rows come together in one partition, those of its users in one of several if the largest day has more than
    ROWS_PER_TASK rows: so they are shuffled once, and a day has few files. weighed: false if each event weighs 1.
    """
    is_kept = sf.col("left_out").isNull()
    names = ("user_id", "source_id", "event", "ts", *(("weight",) if weighed else ()))
    kept = [sf.when(is_kept, sf.col(name)).alias(name) for name in names]
    parts = max(1, math.ceil(largest / ROWS_PER_TASK))
    part = (sf.pmod(sf.xxhash64("user_id"), sf.lit(parts)) if parts > 1 else sf.lit(0)).alias("part")
    events = sf.count("*")
    grouped = (
        rows.select("dt", part, "left_out", *kept)
        .repartition("dt", *(("part",) if parts > 1 else ()))
        .groupBy("dt", "part", "left_out", "user_id", "source_id", "event")
        .agg(
            events.alias("events"),
            (exact_sum("weight") if weighed else events.cast("double")).alias("amount"),
            sf.max("ts").alias("last_ts"),
        )
    )
    return grouped.select("user_id", "source_id", "event", "events", "amount", "last_ts", "left_out", "dt")


def _counts(name: str, staged: DataFrame, days: int) -> tuple[dict[dt.date, list[Row]], dict[dt.date, int]]:
    """Returns for each day its counts by reason of being left out, or by event name, and its distinct users."""
    limit = MAX_EVENT_NAMES * days
    sums = sf.sum("events").alias("events"), sf.max(sf.abs("amount")).alias("largest")
    counts = staged.groupBy("dt", "left_out", "event").agg(*sums, sf.lit(None).cast("bigint").alias("users"))
    users = staged.groupBy("dt").agg(count_users().alias("users"))
    of_days = users.select(
        "dt", *(sf.lit(None).alias(column) for column in ("left_out", "event", "events", "largest")), "users"
    )
    rows = union_of([counts.limit(limit + 1), of_days]).collect()
    groups: dict[dt.date, list[Row]] = {}
    for row in rows:
        if row["users"] is None:
            groups.setdefault(row["dt"], []).append(row)
    if sum(map(len, groups.values())) > limit:
        raise UnknownEventsError(
            f"dataset {name!r} has more than {MAX_EVENT_NAMES:,} different event names a day; is columns.event right?"
        )
    return groups, {row["dt"]: row["users"] for row in rows if row["users"] is not None}


def _record(
    name: str, dataset: EventDataset, partition: DayPartition, settings_hash: str, groups: Sequence[Row], users: int
) -> PartialRecord:
    check_all_read(name, dataset, partition, sum(row["events"] for row in groups))
    left_out = {row["left_out"]: row["events"] for row in groups if row["left_out"] is not None}
    kept = [row for row in groups if row["left_out"] is None]
    return PartialRecord(
        day=partition.day,
        fingerprint=partition.fingerprint,
        settings_hash=settings_hash,
        rows=partition.rows,
        ignored=left_out.get(IGNORED, 0),
        erased=left_out.get(ERASED, 0),
        dropped=faults_in(left_out),
        events={row["event"]: row["events"] for row in kept},
        largest={row["event"]: row["largest"] for row in kept},
        users=users,
    )
