"""Tables whose Parquet files are not all true: a log beside them says which of them count."""

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
"""Folder in the table's root → what it is."""
_ICEBERG, _ICEBERG_FILES, _ICEBERG_DATA = "metadata", ".metadata.json", "data"


def refuse_tables_with_a_log(told: str, at: Storage, names: Collection[str]) -> None:
    """Raises MissingDatasetError when the dataset `told`, a folder that holds `names`, is such a table or in one."""
    for folder, kind in _kinds(at, names):
        if kind is not None:
            raise MissingDatasetError(
                f"{told}: {folder.uri} is {kind}, and files that its log has given up would be counted; export it as "
                "plain Parquet files in dt=YYYY-MM-DD, and let the path name that folder"
            )


def _kinds(at: Storage, names: Collection[str]) -> Iterator[tuple[Storage, str | None]]:
    """Yields what the folder is, and what those are that it may be a partition (key=value) or the data of."""
    yield at, _kind(at, names)
    while "=" in at.name or at.name == _ICEBERG_DATA:
        at = at.parent
        with suppress(StorageError):  # who may not look above the dataset may read it all the same
            yield at, _kind(at, [name for name in (*_LOGS, _ICEBERG) if at.exists(name)])


def _kind(at: Storage, names: Collection[str]) -> str | None:
    if _ICEBERG in names and any(info.base_name.endswith(_ICEBERG_FILES) for info in at.files(_ICEBERG)):
        return "an Iceberg table"
    return next((kind for log, kind in _LOGS.items() if log in names), None)
