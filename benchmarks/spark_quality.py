"""Compares lists by Spark ML's ALS with lists by `implicit`, on a known split with the shipped settings.

    python -m benchmarks.spark_quality NAME [--data FOLDER] [--dims D] [--json]

Trains both on the train rows of the final part and judges both by its truth, as `benchmarks.quality` does, then prints
the mean difference of NDCG@k over the same users with its 95 % bootstrap interval. Spark runs on every core of this
machine.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyspark.sql import SparkSession

from benchmarks.quality.arms import our_lists, ranked_lists
from benchmarks.quality.known import KNOWN, known_split
from benchmarks.quality.part import SplitPart
from benchmarks.real_input import DATA
from conf.load import load_settings
from conf.training import AlsSettings
from deploy.chain import REPO
from models.arrays.arrow import ListColumn, factor_matrix, whole
from models.arrays.ids import IdMap
from models.metrics import score_lists
from models.training.als_spark import train_on_spark

_REPLICATES = 2_000
_BLOCKS = 4


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.spark_quality", description=__doc__)
    parser.add_argument("name", choices=sorted(KNOWN))
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the tables")
    parser.add_argument("--dims", type=int, help="dimensions; default: those shipped")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    asked = parser.parse_args()
    settings = load_settings(REPO / "conf/prod_discovery.yml").train
    assert isinstance(settings, AlsSettings), "the product trains by ALS"
    settings = settings.model_copy(update={"factors": asked.dims} if asked.dims else {})
    split = known_split(asked.name, asked.data)
    found, values = {}, {}
    for name, make in {"als": our_lists, "als_spark": _spark_lists}.items():
        began = time.perf_counter()
        values[name] = score_lists(make(split.final, settings), split.final.truths, split.k).ndcg
        found[name] = {"ndcg": float(values[name].mean()), "seconds": round(time.perf_counter() - began, 1)}
        print(f"{name:<10} NDCG@{split.k} {found[name]['ndcg']:.4f} in {found[name]['seconds']:.0f} s", flush=True)
    change = values["als_spark"] - values["als"]
    drawn = np.random.default_rng(1).integers(len(change), size=(_REPLICATES, len(change)))
    low, high = (float(bound) for bound in np.quantile(change[drawn].mean(axis=1), [0.025, 0.975]))
    print(f"als_spark − als: {change.mean():+.4f} (95 % {low:+.4f} … {high:+.4f}) over {len(change):,} users")
    if asked.json:
        print(json.dumps({"name": split.name, "k": split.k, **found, "difference": [float(change.mean()), low, high]}))


def _spark_lists(part: SplitPart, settings: AlsSettings) -> ListColumn:
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.config("spark.driver.memory", "4g").config("spark.ui.enabled", "false")
    builder = builder.config("spark.ui.showConsoleProgress", "false")
    spark = builder.config("spark.sql.shuffle.partitions", str(_BLOCKS)).getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    with tempfile.TemporaryDirectory() as folder:
        frame = spark.createDataFrame(part.train)
        trained = train_on_spark(frame, settings, part.ids, blocks=_BLOCKS, checkpoints=f"file://{folder}")
        users, sources = trained.user_factors.toArrow(), trained.source_factors.toArrow()
    spark.stop()
    return ranked_lists(part, *_maps(users, sources, part), *(_factors(t, settings) for t in (users, sources)))


def _maps(users: pa.Table, sources: pa.Table, part: SplitPart) -> tuple[IdMap, IdMap]:
    return IdMap.of(users["user_id"], part.ids), IdMap.of(sources["source_id"], part.ids)


def _factors(table: pa.Table, settings: AlsSettings) -> "np.ndarray[tuple[int, int], np.dtype[np.float32]]":
    return factor_matrix(whole(table["factors"]), settings.factors)


if __name__ == "__main__":
    main()
