"""Spark ML's `recommendForAllUsers` on given factors: `python -m benchmarks.ranking.spark FOLDER USERS D N …`.

The model is a folder in Spark's own format. Its item factors are those of the set, its users a sample of the set's.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.peak_bytes import peak_bytes
from benchmarks.ranking.errors import RankingBenchError
from benchmarks.ranking.pair import WORKERS
from benchmarks.ranking.stream import Factors, Stream
from deploy.chain import REPO

_PAIRS = 400_000_000
"""Number of pairs that a sample scores, which takes some seconds."""


def measure(stream: Stream, ns: list[int]) -> dict[int, dict[str, float]]:
    """Returns for each N: users of the sample, seconds, peak_bytes of the JVM. Raises RankingBenchError."""
    users = min(stream.users, max(WORKERS, _PAIRS // stream.sources))
    words = [stream.folder, users, stream.sources, stream.dimensions, *ns]
    command = [sys.executable, "-m", "benchmarks.ranking.spark", *map(str, words)]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RankingBenchError(f"Spark failed; --no-spark leaves it out. Its output:\n{done.stderr[-2_000:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    return {int(n): figures for n, figures in found.items()}


def main(folder: str, users: int, sources: int, dimensions: int, ns: list[int]) -> None:
    """Ranks the sample once for each N, after a warm-up that is not timed."""
    from pyspark.ml.recommendation import ALSModel
    from pyspark.sql import SparkSession

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    stream = Stream(folder, users, sources, dimensions)
    sample = np.concatenate([block for block, _ in stream.blocks(0, users)])
    model_folder = Path(folder) / "spark"
    write_model(model_folder, sample, stream.read_sources())
    settings = {
        "spark.driver.memory": "4g",
        "spark.driver.extraJavaOptions": "--add-modules=jdk.incubator.vector",  # its fastest BLAS without native ones
        "spark.sql.shuffle.partitions": str(WORKERS),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    builder = SparkSession.builder.master(f"local[{WORKERS}]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    model, found = ALSModel.load(str(model_folder)), {}
    for factors in (model.userFactors, model.itemFactors):
        factors.cache().count()
    for n in [ns[0], *ns]:
        start = time.perf_counter()
        model.recommendForAllUsers(n).write.format("noop").mode("overwrite").save()
        seconds = time.perf_counter() - start
        found[n] = {"users": users, "seconds": seconds, "peak_bytes": peak_bytes(_jvm(spark))}
    print(json.dumps(found))
    spark.stop()


def _jvm(spark: "object") -> int:
    return int(spark._jvm.java.lang.ProcessHandle.current().pid())  # type: ignore[attr-defined]


def write_model(folder: Path, users: Factors, sources: Factors) -> None:
    """Writes a folder that `ALSModel.load` reads."""
    metadata = {
        "class": "org.apache.spark.ml.recommendation.ALSModel",
        "timestamp": 0,
        "sparkVersion": "4.3.0",
        "uid": "ALS_benchmark",
        "paramMap": {},
        "defaultParamMap": {
            "blockSize": 4096,
            "coldStartStrategy": "nan",
            "userCol": "user",
            "itemCol": "item",
            "predictionCol": "prediction",
        },
        "rank": users.shape[1],
    }
    (folder / "metadata").mkdir(parents=True)
    (folder / "metadata/part-00000").write_text(json.dumps(metadata) + "\n")
    for name, factors in (("userFactors", users), ("itemFactors", sources)):
        (folder / name).mkdir()
        ids = np.arange(len(factors), dtype=np.int32)
        values = pa.FixedSizeListArray.from_arrays(pa.array(factors.ravel()), factors.shape[1])
        table = pa.table({"id": pa.array(ids), "features": values.cast(pa.list_(pa.float32()))})
        for place in range(WORKERS):  # a file for each core
            start, stop = (len(table) * edge // WORKERS for edge in (place, place + 1))
            pq.write_table(table.slice(start, stop - start), folder / name / f"part-{place}.parquet")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), [int(n) for n in sys.argv[5:]])
