"""Days of a dataset as Parquet files, and a catalog that cannot start Spark."""

import datetime as dt
from pathlib import Path
from typing import NoReturn

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.storage.datasets import SparkCatalog
from jobs.storage.store import Storage


def no_spark() -> NoReturn:
    """What a dry run has instead of a session."""
    raise AssertionError("this must not need Spark")


def write_day(root: Path, day: dt.date, content: pa.Table | None) -> Path:
    """A day with its marker, or an unfinished one with a file that is still being written."""
    folder = root / f"dt={day}"
    folder.mkdir(parents=True, exist_ok=True)
    if content is None:
        (folder / "part-0.parquet").write_bytes(b"PAR1 half")
    else:
        pq.write_table(content, folder / "part-0.parquet")
        (folder / "_SUCCESS").touch()
    return folder


def dry(tmp_path: Path) -> SparkCatalog:
    """A catalog that cannot start Spark."""
    return SparkCatalog(no_spark, Storage(str(tmp_path / "data")), Storage(str(tmp_path / "partials")))
