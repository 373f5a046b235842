"""One side of Parquet → CSR: `python -m benchmarks.training.matrix_side ours|pandas FILE`, a turn per line read."""

import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pyarrow.dataset as ds
from pyspark.sql import SparkSession
from scipy.sparse import coo_matrix, csr_matrix

from benchmarks.peak_bytes import peak_bytes
from benchmarks.training.plan import start_spark
from conf.digest import sha256_of_chunks
from models.training.matrix import fill_matrix, scan_ids


def main(name: str, path: str) -> None:
    """Prints a JSON line when ready, and one after each turn."""
    make, jvm = partial(our_matrix, path), None
    if name == "pandas":
        spark, jvm = _session()
        make = partial(pandas_matrix, path, spark)
    print(json.dumps({}), flush=True)
    for _ in sys.stdin:
        print(json.dumps(_turn(make, jvm)), flush=True)


def _turn(make: Callable[[], csr_matrix], jvm: int | None) -> dict[str, Any]:
    me, others = psutil.Process(), [psutil.Process(jvm)] if jvm else []
    before = [process.memory_info().rss for process in (me, *others)]
    for process in (me, *others):
        Path(f"/proc/{process.pid}/clear_refs").write_text("5")  # the peak starts anew
    start = time.perf_counter()
    matrix = make()
    seconds = time.perf_counter() - start
    found = [max(0, peak_bytes(process.pid) - had) for process, had in zip((me, *others), before, strict=True)]
    return {
        "seconds": seconds,
        "python_bytes": found[0],
        "jvm_bytes": found[1] if jvm else 0,
        "matrix": digest_of(matrix),
    }


def our_matrix(path: str) -> csr_matrix:
    """Makes the matrix as the product does."""
    interactions = ds.dataset(path, format="parquet")
    return fill_matrix(interactions, *scan_ids(interactions, "int64"))


def pandas_matrix(path: str, spark: SparkSession) -> csr_matrix:
    """Makes the matrix through pandas; users and sources are in the order of their ids, as in ours."""
    rows = spark.read.parquet(path).select("user_id", "source_id", "weight").toPandas()
    users, user_ids = pd.factorize(rows["user_id"], sort=True)
    sources, source_ids = pd.factorize(rows["source_id"], sort=True)
    weights = rows["weight"].to_numpy(np.float32)
    return coo_matrix((weights, (users, sources)), shape=(len(user_ids), len(source_ids))).tocsr()


def digest_of(matrix: csr_matrix) -> str:
    """Returns a SHA-256 of shape and entries."""
    parts = (part.astype("<f8").tobytes() for part in (matrix.indptr, matrix.indices, matrix.data))
    return sha256_of_chunks((str(matrix.shape).encode(), *parts))


def _session() -> tuple[SparkSession, int]:
    """Returns a warm session with Arrow and batches of the size that ours reads, and the pid of its JVM."""
    spark = start_spark()
    spark.conf.set("spark.sql.execution.arrow.pyspark.enabled", "true")
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", "131072")
    spark.range(1000).toPandas()
    assert spark._jvm is not None
    return spark, int(spark._jvm.java.lang.ProcessHandle.current().pid())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
