"""The datasets and daily partials of one product in a storage: footers by pyarrow, rows by Spark."""

import datetime as dt
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from conf.datasets import Dataset
from conf.ids import UserId
from conf.settings import Settings
from expectations.drift.findings import Excluded
from features.reading.catalog import Catalog, DayPartition, DayPartitions, PartialStore
from jobs.storage.drift import DriftStore
from jobs.storage.footers import Footers
from jobs.storage.store import Storage

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession  # so that names and footers are read where Spark is not installed


def no_spark() -> "SparkSession":
    """Raises AssertionError: names, markers and footers are read without Spark."""
    raise AssertionError("names, markers and footers are read without Spark")


def open_catalog(
    settings: Settings,
    home: Storage,
    spark: "Callable[[], SparkSession]" = no_spark,
    partials: Storage | None = None,
    erased: Collection[UserId] = (),
    excluded: Sequence[Excluded] | None = None,
) -> Catalog:
    """Returns the catalog of a product's datasets.

    partials: replaces the folder of daily partials that runs share. excluded: days that are left out; None: those that
    operators excluded by now. Raises DamagedHistory.
    """
    kept = home.child(f"partials/{settings.product}") if partials is None else partials
    if excluded is None:
        excluded = DriftStore.of(home, settings.product).decisions().excluded
    return SparkCatalog(spark, home.child(settings.data_root), kept, erased, _by_path(settings, excluded))


def _by_path(settings: Settings, excluded: Sequence[Excluded]) -> dict[str, dict[dt.date, str]]:
    """Returns path of a dataset → excluded day → who and why."""
    found: dict[str, dict[dt.date, str]] = {}
    for one in excluded:
        dataset = settings.datasets.every.get(one.dataset)
        if dataset is not None:
            found.setdefault(dataset.path, {})[one.day] = f"by {one.by}: {one.reason}"
    return found


@dataclass(frozen=True)
class SparkCatalog:
    """Implements `features.reading.catalog.Catalog`; the session is made when the first row is read."""

    spark: "Callable[[], SparkSession]"
    data: Storage
    partials_at: Storage
    erased: Collection[UserId] = ()
    excluded: Mapping[str, Mapping[dt.date, str]] = field(default_factory=dict)
    """Path of a dataset → day that is left out → who and why."""

    @property
    def partials(self) -> PartialStore:
        """The daily partials below `partials_at`."""
        from jobs.storage.partials import SparkPartials

        return SparkPartials(self.spark, self.partials_at)

    def days(self, dataset: Dataset) -> tuple[dt.date, ...]:
        """Returns the days that have a folder `dt=YYYY-MM-DD`."""
        return Footers(self.data).days(dataset)

    def excluded_days(self, dataset: Dataset) -> Collection[dt.date]:
        """Returns the days of `excluded`."""
        return self.excluded.get(dataset.path, {}).keys()

    def partitions(self, dataset: Dataset, days: Collection[dt.date]) -> DayPartitions:
        """Reads the footers of these days and nothing else; excluded days are named and not opened."""
        excluded = {day: why for day, why in self.excluded.get(dataset.path, {}).items() if day in days}
        return replace(Footers(self.data).partitions(dataset, {*days} - excluded.keys()), excluded=excluded)

    def read(self, dataset: Dataset, partitions: Sequence[DayPartition], columns: Sequence[str]) -> "DataFrame":
        """Returns the rows of exactly the files whose footers were read."""
        from jobs.storage.parquet_rows import read_parquet

        return read_parquet(self.spark(), self.data.child(dataset.path), partitions, columns)
