"""Days of a dataset in any storage, and catalogs of them."""

import datetime as dt
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
from pyspark.sql import SparkSession

from jobs.storage.datasets import SparkCatalog
from jobs.storage.store import Storage
from tests.features.catalog_contract import Make
from tests.jobs.days import write_day


def upload_day(dataset: Storage, day: dt.date, content: pa.Table | None) -> None:
    """A day with its marker, or an unfinished one with a file that is still being written."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = write_day(Path(scratch), day, content)
        for file in sorted(folder.iterdir(), reverse=True):  # the marker last
            dataset.write_bytes(f"{folder.name}/{file.name}", file.read_bytes())


def catalogs_in(root: Storage, spark: SparkSession) -> Make:
    """Returns what makes a catalog of datasets below a folder of a cluster."""

    def build(tables: Mapping[str, Mapping[dt.date, pa.Table | None]]) -> SparkCatalog:
        for path, days in tables.items():
            root.write_bytes(f"data/{path}/README", b"")  # a folder also where there is no day
            for day, content in days.items():
                upload_day(root.child(f"data/{path}"), day, content)
        return SparkCatalog(lambda: spark, root.child("data"), root.child("partials"))

    return build
