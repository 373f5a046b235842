"""The datasets of a product by their names, markers and Parquet footers; no Spark."""

import datetime as dt
import json
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from conf.datasets import Dataset
from conf.digest import sha256_of
from conf.location import puzzles_spark
from features.errors import BrokenPartitionError, MissingDatasetError
from features.reading.catalog import DataFile, DayPartition, DayPartitions
from features.reading.plain_types import plain_schema
from jobs.storage.dataset_names import UNFINISHED_COPY, day_of, days_among, folder_of, is_hidden, nearly_days
from jobs.storage.errors import UnreadableFolder
from jobs.storage.java_names import refuse_unnameable
from jobs.storage.store import Storage
from jobs.storage.table_formats import refuse_tables_with_a_log

_READERS = 8  # footers are small: on an object store latency counts, not the bytes
_NO_CODEC = ("BROTLI", "LZO")
"""Compressions that Spark cannot decode; pyarrow's UNKNOWN is Hadoop's own LZ4, which Spark reads."""


@dataclass(frozen=True)
class Footers:
    """The datasets below `data`, or at the absolute paths of the settings."""

    data: Storage

    def at(self, dataset: Dataset) -> Storage:
        """Returns the dataset's folder, which may lie outside of `data`."""
        return self.data.child(dataset.path)

    def days(self, dataset: Dataset) -> tuple[dt.date, ...]:
        """Returns days with a folder `dt=YYYY-MM-DD`. Raises MissingDatasetError."""
        return days_among(self._listed(dataset))

    def partitions(self, dataset: Dataset, days: Collection[dt.date]) -> DayPartitions:
        """Reads the footers of these days and nothing else. Raises MissingDatasetError, BrokenPartitionError."""
        there = self._listed(dataset)
        wanted = {*days}
        _refuse_days_that_are_no_folder(dataset, there, wanted)
        found = sorted(wanted & {*days_among(there)})
        with ThreadPoolExecutor(_READERS) as pool:
            listed = dict(zip(found, pool.map(lambda day: self._listed_day(dataset, day), found), strict=True))
            unfinished = tuple(day for day, infos in listed.items() if not _is_finished(dataset, infos))
            for day in unfinished:
                del listed[day]
            data = {day: [info for info in infos if _is_data(dataset, day, info)] for day, infos in listed.items()}
            files = [(day, info) for day, infos in data.items() for info in infos]
            opened = pool.map(lambda file: self._file(dataset, *file), files)
            finished = tuple(_partition(day, infos, tuple(islice(opened, len(infos)))) for day, infos in data.items())
        misnamed = {day: name for day, name in nearly_days(there).items() if day in wanted}
        return DayPartitions(finished, unfinished, misnamed)

    def _listed(self, dataset: Dataset) -> list[fs.FileInfo]:
        """Returns the content of the dataset's folder. Raises MissingDatasetError if there is no folder."""
        at, where = self.at(dataset), f"dataset folder {dataset.path!r}"
        kind = at.type_of()
        if kind == fs.FileType.NotFound:
            raise MissingDatasetError(f"{where} does not exist: {at.uri}; correct the path or run its export")
        if kind != fs.FileType.Directory:
            raise MissingDatasetError(
                f"{where} is not a folder: {at.uri}; let the path name the folder that holds dt=YYYY-MM-DD"
            )
        there = at.files()
        refuse_tables_with_a_log(where, at, [info.base_name for info in there])
        return there

    def _listed_day(self, dataset: Dataset, day: dt.date) -> list[fs.FileInfo]:
        try:
            return self.at(dataset).files(folder_of(day))
        except UnreadableFolder as error:
            raise BrokenPartitionError(f"dataset {dataset.path!r}: {error}") from None

    def _file(self, dataset: Dataset, day: dt.date, info: fs.FileInfo) -> DataFile:
        path, at = f"{folder_of(day)}/{info.base_name}", self.at(dataset)
        where = f"dataset {dataset.path!r}: {path}"
        _refuse_what_spark_cannot_name(dataset, at, path)
        try:
            with at.open(path) as stream:
                footer = pq.read_metadata(stream)
                schema = footer.schema.to_arrow_schema()
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
            raise BrokenPartitionError(
                f"{where} cannot be read as Parquet ({error}); it is truncated or no Parquet file: write the day again"
            ) from None
        plain = plain_schema(_int96_as_micros(schema, footer))
        return DataFile(path, footer.num_rows, info.size, plain, _undecodable(footer))


def _refuse_days_that_are_no_folder(
    dataset: Dataset, there: Sequence[fs.FileInfo], wanted: Collection[dt.date]
) -> None:
    for info in there:
        if info.type != fs.FileType.Directory and day_of(info.base_name) in wanted:
            raise BrokenPartitionError(
                f"dataset {dataset.path!r}: {info.base_name} is {_WHAT_IT_IS[info.type]}; let it be a folder with files"
            )


def _is_finished(dataset: Dataset, infos: Sequence[fs.FileInfo]) -> bool:
    """Returns whether a day with these files has its success marker, or needs none."""
    return dataset.success_marker in (None, *(info.base_name for info in infos))


def _is_data(dataset: Dataset, day: dt.date, info: fs.FileInfo) -> bool:
    """Returns whether it is a file of rows. Raises BrokenPartitionError for something that must not be in a day."""
    name, where = info.base_name, f"dataset {dataset.path!r}: {folder_of(day)}/{info.base_name}"
    if name.endswith(UNFINISHED_COPY):
        raise BrokenPartitionError(f"{where} is an unfinished copy; let it finish, or delete it")
    if name == dataset.success_marker or is_hidden(name):
        return False
    if info.type != fs.FileType.File:
        raise BrokenPartitionError(
            f"{where} is {_WHAT_IT_IS[info.type]}, and only files are read; {_REMEDY.get(info.type, 'remove it')}"
        )
    return True


_WHAT_IT_IS = {
    fs.FileType.Directory: "a folder",
    fs.FileType.File: "a file",
    fs.FileType.NotFound: "a link to what is not there",
    fs.FileType.Unknown: "neither a file nor a folder",
}
_REMEDY = {
    fs.FileType.Directory: "write them straight into the day",
    fs.FileType.NotFound: "restore its target, or write the day again",
}


def _refuse_what_spark_cannot_name(dataset: Dataset, at: Storage, name: str) -> None:
    where = f"dataset {dataset.path!r}: "
    if puzzles_spark(f"{at.location.path}/{name}"):
        raise BrokenPartitionError(
            f"{where}{name}: a path with a colon and one of * ? [ ] {{ }} \\ cannot be read by Spark; rename the file"
        )
    try:
        refuse_unnameable(name, at)
    except UnreadableFolder as error:
        raise BrokenPartitionError(f"{where}{error}") from None


def _undecodable(footer: pq.FileMetaData) -> dict[str, str]:
    """Returns column → compression, for columns that Spark cannot decode."""
    found: dict[str, str] = {}
    for number in range(footer.num_row_groups):
        group = footer.row_group(number)
        for place in range(footer.num_columns):
            chunk = group.column(place)
            if chunk.compression in _NO_CODEC:
                found[chunk.path_in_schema] = chunk.compression
    return found


def _partition(day: dt.date, infos: Sequence[fs.FileInfo], files: tuple[DataFile, ...]) -> DayPartition:
    facts = [
        (info.base_name, info.size, info.mtime_ns, file.rows, str(file.schema))
        for info, file in zip(infos, files, strict=True)
    ]
    return DayPartition(day, files, sha256_of(json.dumps(sorted(facts)))[:32])


def _int96_as_micros(schema: pa.Schema, footer: pq.FileMetaData) -> pa.Schema:
    """Returns the schema with INT96 times as timestamps, as Spark reads them; Arrow reads nanoseconds."""
    columns = (footer.schema.column(i) for i in range(len(footer.schema)))
    int96 = {column.path for column in columns if column.physical_type == "INT96"}
    return pa.schema([field.with_type(pa.timestamp("us", "UTC")) if field.name in int96 else field for field in schema])
