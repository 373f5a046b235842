"""An in-memory catalog for tests, with the contract of `jobs.storage.datasets.SparkCatalog`."""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types as t
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sf
from pyspark.sql.types import DateType, StringType, StructField, StructType

from conf import contract
from conf.datasets import Dataset
from conf.ids import IdKind, UserId
from features.errors import MissingDatasetError
from features.reading.catalog import DataFile, DayPartition, DayPartitions, PartialRecord
from features.reading.plain_types import plain_schema
from features.tables import quoted, spark_schema, union_of


@dataclass
class FakePartials:
    """Implements `features.reading.catalog.PartialStore`."""

    spark: SparkSession
    rows: dict[tuple[str, dt.date], pa.Table] = field(default_factory=dict)
    records: dict[tuple[str, dt.date], PartialRecord] = field(default_factory=dict)

    def finished(self, name: str, days: Collection[dt.date]) -> tuple[PartialRecord, ...]:
        """Returns the records of those days that have one."""
        return tuple(self.records[name, day] for day in sorted(days) if (name, day) in self.records)

    def recorded(self, name: str, days: Collection[dt.date]) -> tuple[PartialRecord, ...]:
        """Returns the same as `finished`, since rows in memory do not change."""
        return self.finished(name, days)

    def stage(self, name: str, days: Collection[dt.date], frame: DataFrame) -> None:
        """Stores the rows of each day."""
        table = frame.toArrow()
        for day in days:
            self.records.pop((name, day), None)
            self.rows[name, day] = table.filter(pc.equal(table["dt"], pa.scalar(day)))

    def finish(self, name: str, records: Sequence[PartialRecord]) -> None:
        """Stores the records."""
        self.records.update({(name, record.day): record for record in records})

    def read(self, name: str, days: Collection[dt.date], ids: IdKind) -> DataFrame:
        """Returns the rows of the days."""
        fields = [*spark_schema(contract.daily_partials(ids)), StructField("left_out", StringType())]
        schema = StructType([*fields, StructField("dt", DateType())])
        tables = [table for (of, day), table in self.rows.items() if of == name and day in days]
        if not tables:
            return self.spark.createDataFrame([], schema)
        return self.spark.createDataFrame(pa.concat_tables(tables)).select(*schema.names)

    def some_users(self, name: str, day: dt.date, count: int) -> Sequence[UserId]:
        """Returns the users of all rows."""
        return cast("list[UserId]", self.rows[name, day]["user_id"].drop_null().to_pylist())

    def prune(self, name: str, before: dt.date) -> None:
        """Deletes older days."""
        for key in [key for key in self.rows if key[0] == name and key[1] < before]:
            del self.rows[key]
            self.records.pop(key, None)


@dataclass
class FakeCatalog:
    """Implements `features.reading.catalog.Catalog` over {dataset path: {day: table}}; a day whose table is None is
    unfinished."""

    spark: SparkSession
    tables: Mapping[str, Mapping[dt.date, pa.Table | None]]
    erased: Collection[UserId] = ()
    excluded: Mapping[str, Mapping[dt.date, str]] = field(default_factory=dict)
    """Path → day that is left out → why."""
    partials: FakePartials = field(init=False)
    opened: list[tuple[str, dt.date]] = field(default_factory=list)
    """Arguments of `read`, so that tests can check what is read again."""

    def __post_init__(self) -> None:
        self.partials = FakePartials(self.spark)

    def days(self, dataset: Dataset) -> tuple[dt.date, ...]:
        """Returns the days of the path."""
        if dataset.path not in self.tables:
            raise MissingDatasetError(f"dataset folder {dataset.path!r} does not exist in memory; put a table there")
        return tuple(sorted(self.tables[dataset.path]))

    def excluded_days(self, dataset: Dataset) -> Collection[dt.date]:
        """Returns the days of `excluded`."""
        return self.excluded.get(dataset.path, {}).keys()

    def partitions(self, dataset: Dataset, days: Collection[dt.date]) -> DayPartitions:
        """Returns one file per day; the fingerprint is of the rows."""
        finished, unfinished = [], []
        excluded = {day: why for day, why in self.excluded.get(dataset.path, {}).items() if day in days}
        for day in sorted({*days} & {*self.days(dataset)} - excluded.keys()):
            table = self.tables[dataset.path][day]
            if table is None and dataset.success_marker is not None:
                unfinished.append(day)
                continue
            files = () if table is None else (_file(day, table),)
            finished.append(DayPartition(day, files, str(hash(str(table and table.to_pydict())))))
        return DayPartitions(tuple(finished), tuple(unfinished), excluded=excluded)

    def read(self, dataset: Dataset, partitions: Sequence[DayPartition], columns: Sequence[str]) -> DataFrame:
        """Returns the rows with the plain types of the protocol; days of the same columns are one frame."""
        alike: dict[str, list[pa.Table]] = {}
        for partition in partitions:
            self.opened.append((dataset.path, partition.day))
            table = self.tables[dataset.path][partition.day]
            if table is None:
                continue
            found = _widened(table.select([column for column in columns if column in table.column_names]))
            alike.setdefault(str(found.schema), []).append(
                found.append_column("dt", pa.array([partition.day] * len(found), pa.date32()))
            )
        frames = []
        for tables in alike.values():
            frame = self.spark.createDataFrame(pa.concat_tables(tables))
            lacking = {column: sf.lit(None) for column in columns if column not in tables[0].column_names}
            frames.append(frame.withColumns(lacking).select(*map(quoted, columns), "dt"))
        return union_of(frames)


def _file(day: dt.date, table: pa.Table) -> DataFile:
    return DataFile(f"dt={day}/part-0.parquet", table.num_rows, table.nbytes, plain_schema(table.schema))


def _widened(table: pa.Table) -> pa.Table:
    return table.cast(pa.schema([pa.field(column.name, _wide(column.type)) for column in plain_schema(table.schema)]))


def _wide(type_: pa.DataType) -> pa.DataType:
    if t.is_integer(type_):
        return pa.int64()
    return pa.timestamp("us", "UTC") if t.is_timestamp(type_) else type_
