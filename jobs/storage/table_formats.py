"""Detects tables whose Parquet files do not all count: a log beside them lists those that do."""

from collections.abc import Collection, Iterator
from contextlib import suppress

from features.errors import MissingDatasetError
from jobs.storage.errors import StorageError
from jobs.storage.store import Storage

_LOGS = {
    "_delta_log": "a Delta table",
    ".hoodie": "a Hudi table",
    "_spark_metadata": "a table of Spark's structured streaming",
}
"""Folder in the table's root → kind of table."""
_ICEBERG, _ICEBERG_FILES, _ICEBERG_DATA = "metadata", ".metadata.json", "data"


def refuse_tables_with_a_log(dataset: str, at: Storage, names: Collection[str]) -> None:
    """Raises MissingDatasetError if the dataset's folder, which holds `names`, is such a table or in one."""
    for folder, kind in _kinds(at, names):
        if kind is not None:
            raise MissingDatasetError(
                f"{dataset}: {folder.uri} is {kind}, and files that its log has removed would be counted; export it as "
                "plain Parquet files in dt=YYYY-MM-DD, and let the path name that folder"
            )


def _kinds(at: Storage, names: Collection[str]) -> Iterator[tuple[Storage, str | None]]:
    """Yields the kind of the folder, and of folders above that it may be a partition (key=value) or the data of."""
    yield at, _kind(at, names)
    while "=" in at.name or at.name == _ICEBERG_DATA:
        at = at.parent
        with suppress(StorageError):  # the folder above may be unreadable to us
            yield at, _kind(at, [name for name in (*_LOGS, _ICEBERG) if at.exists(name)])


def _kind(at: Storage, names: Collection[str]) -> str | None:
    if _ICEBERG in names and any(info.base_name.endswith(_ICEBERG_FILES) for info in at.files(_ICEBERG)):
        return "an Iceberg table"
    return next((kind for log, kind in _LOGS.items() if log in names), None)
