"""Days of a dataset in any storage."""

import datetime as dt
import tempfile
from pathlib import Path

import pyarrow as pa

from jobs.storage.store import Storage
from tests.jobs.days import write_day


def upload_day(dataset: Storage, day: dt.date, content: pa.Table | None) -> None:
    """A day with its marker, or an unfinished one with a file that is still being written."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = write_day(Path(scratch), day, content)
        for file in sorted(folder.iterdir(), reverse=True):  # the marker last
            dataset.write_bytes(f"{folder.name}/{file.name}", file.read_bytes())
