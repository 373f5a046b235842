"""Reads what users were shown: the rows of the dataset `impressions`, over a window of days."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf

from conf import contract
from conf.datasets import IMPRESSIONS, ImpressionDataset
from conf.ids import IdKind
from conf.surface import DEFAULT_SURFACE, SURFACE_PATTERN
from conf.windows import Window
from features.reading.catalog import Catalog, DayPartition
from features.reading.erasures import with_erased
from features.reading.ids import id_faults
from features.reading.impressions import check_impressions, impression_fields
from features.reading.rows import ERASED, MAX_POSITION, check_all_read, check_rows, faults_in, first_of, time_faults
from features.tables import conform, quoted


@dataclass(frozen=True)
class ShownDay:
    """What was read of one day."""

    day: dt.date
    rows: int
    """Raw rows; the sum of erased, dropped and kept."""
    erased: int
    """Rows of erased users."""
    dropped: Mapping[str, int]
    """Fault → rows dropped for it."""
    kept: int


@dataclass(frozen=True)
class Impressions:
    """What users were shown in a window, and what was left out of it."""

    frame: DataFrame
    """`contract.impressions`, read lazily; the same impression delivered twice is there twice."""
    days: tuple[ShownDay, ...]
    """Days that were read, oldest first; those that `shrink` let pass are not among them."""


def read_impressions(dataset: ImpressionDataset, window: Window, ids: IdKind, catalog: Catalog) -> Impressions:
    """Returns the impressions of a window; its rows are read once to count them, before any is used.

    Raises what `check_impressions` raises, BrokenPartitionError if the number of rows differs from the footers', and
    BadRowsError for a day with more unusable rows than `bad_row_budget` allows.
    """
    plan = check_impressions(dataset, window, ids, catalog)
    rows = _rows(dataset, plan.found, ids, catalog)
    counts: dict[dt.date, dict[str | None, int]] = {}
    for row in rows.groupBy("dt", "left_out").count().collect():
        counts.setdefault(row["dt"], {})[row["left_out"]] = row["count"]
    days = tuple(_checked(dataset, partition, counts.get(partition.day, {})) for partition in plan.found)
    return Impressions(conform(rows.where("left_out IS NULL"), contract.impressions(ids)), days)


def _rows(dataset: ImpressionDataset, partitions: tuple[DayPartition, ...], ids: IdKind, catalog: Catalog) -> DataFrame:
    """Returns every row under our names, with `dt` and why it is left out; null: it is kept."""
    fields = impression_fields(dataset, ids)
    raw = catalog.read(dataset, partitions, tuple(dict.fromkeys(field.column for field in fields)))
    marked = with_erased(
        raw.select(*(quoted(field.column).alias(field.name) for field in fields), "dt"), catalog.erased
    )
    lacking = {"position": sf.lit(None).cast("bigint"), "run": sf.lit(None).cast("string")}
    lacking |= {"surface": sf.lit(None).cast("string")}
    known = {field.name for field in fields}
    whole = marked.withColumns({name: empty for name, empty in lacking.items() if name not in known})
    left_out = sf.when(sf.col("erased"), sf.lit(ERASED)).otherwise(_fault(dataset, ids)).alias("left_out")
    surface = sf.coalesce("surface", sf.lit(DEFAULT_SURFACE)).alias("surface")
    return whole.select("user_id", "source_id", "ts", "position", "run", surface, "dt", left_out)


def _fault(dataset: ImpressionDataset, ids: IdKind) -> Column:
    position = sf.col("position")
    faults = {**id_faults("user_id", ids), **id_faults("source_id", ids), **time_faults(dataset)}
    faults["bad_position"] = (position < 1) | (position > MAX_POSITION)
    faults["not_utf8_run"] = ~sf.is_valid_utf8("run")
    faults["bad_surface"] = ~sf.col("surface").rlike(f"\\A{SURFACE_PATTERN}\\z")
    return first_of(faults)


def _checked(dataset: ImpressionDataset, partition: DayPartition, counts: Mapping[str | None, int]) -> ShownDay:
    check_all_read(IMPRESSIONS, dataset, partition, sum(counts.values()))
    day = ShownDay(partition.day, partition.rows, counts.get(ERASED, 0), faults_in(counts), counts.get(None, 0))
    check_rows(IMPRESSIONS, dataset, day.day, day.rows, day.dropped)
    return day
