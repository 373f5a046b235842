"""A folder of arrays is there on every worker."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyspark.sql import SparkSession

from jobs.storage.shared_folder import share_folder
from tests.support.odd_names import ODD


def test_workers_find_what_was_saved(spark: SparkSession, tmp_path: Path) -> None:
    def save(folder: Path) -> None:
        np.save(folder / "a.npy", np.arange(5))
        (folder / "b.txt").write_text("b")

    (tmp_path / ODD).mkdir()
    folder = share_folder(spark, tmp_path / ODD, "shared-folder-test", save)

    def read(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            found = int(np.load(Path(folder()) / "a.npy", mmap_mode="r").sum())
            names = sorted(path.name for path in Path(folder()).iterdir())
            rows = [(found, ",".join(names))] * batch.num_rows
            yield pa.RecordBatch.from_pylist([{"sum": a, "names": b} for a, b in rows])

    found = spark.range(4, numPartitions=2).mapInArrow(read, "sum bigint, names string").collect()
    assert {tuple(row) for row in found} == {(10, "a.npy,b.txt")}
    assert len(found) == 4
