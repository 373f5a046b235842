"""Times one ALS iteration, ours and Spark ML's, of the same confidences on the same cores.

Our trainer reports each iteration's seconds. Spark does not: its figure is the difference of two fits divided by the
difference of their iterations, so that reading, blocking and the first factors are not counted. An uncounted fit comes
first, unless the figures mean nothing anyway.
"""

import time
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.ml.recommendation import ALS
from pyspark.sql import DataFrame
from scipy.sparse import csr_matrix

from benchmarks.training.plan import CORES, Plan
from benchmarks.training.row import Row, times_faster
from conf.training import AlsSettings
from models.training.als import ImplicitAls
from models.training.confidences import confidences_of
from models.training.matrix import fill_matrix, scan_ids

_GOALS = {64: 14.0, 128: 20.0}
_FEW, _MORE = 1, 3
"""Iterations of Spark's two fits."""
_OURS = 3
"""Iterations of one of our fits; there is one before and after each pair of Spark's."""
_ROUNDS = 2
"""Most rounds: a pair of Spark's fits takes half a minute."""


def measure(plan: Plan) -> list[Row]:
    """Returns a row per number of dimensions."""
    part = plan.part()
    weights = fill_matrix(part.interactions, *scan_ids(part.interactions, part.ids))
    confidences = confidences_of(weights, AlsSettings())
    ratings = _ratings(plan, confidences)
    rows = [_row(plan, confidences, ratings, dimensions) for dimensions in ((8,) if plan.quick else _GOALS)]
    ratings.unpersist()
    return rows


def _row(plan: Plan, confidences: csr_matrix, ratings: DataFrame, dimensions: int) -> Row:
    ours, few, more = _our_seconds(confidences, dimensions), [], []
    if not plan.quick:
        _fit_spark(ratings, dimensions, _FEW)
    for _ in range(min(plan.rounds, _ROUNDS)):
        few.append(_fit_spark(ratings, dimensions, _FEW))
        ours += _our_seconds(confidences, dimensions)
        more.append(_fit_spark(ratings, dimensions, _MORE))
        ours += _our_seconds(confidences, dimensions)
    spark = [(long - short) / (_MORE - _FEW) for short, long in zip(few, more, strict=True)]
    return times_faster(f"ALS iteration, d = {dimensions}", "s", ours, spark, "Spark ML's ALS", _GOALS.get(dimensions))


def _our_seconds(confidences: csr_matrix, dimensions: int) -> list[float]:
    seconds: list[float] = []

    def note(_iteration: int, took: float, *_factors: object) -> None:
        seconds.append(took)

    settings = AlsSettings(factors=dimensions, iterations=_OURS, threads=CORES)
    ImplicitAls(on_iteration=note).fit(confidences, settings)
    return seconds


def _fit_spark(ratings: DataFrame, dimensions: int, iterations: int) -> float:
    """Returns the seconds of a fit. Spark's confidence is 1 + alpha · rating; λ does not change the time."""
    als = ALS(
        rank=dimensions,
        maxIter=iterations,
        implicitPrefs=True,
        alpha=1.0,
        regParam=0.1,
        numUserBlocks=CORES,
        numItemBlocks=CORES,
        seed=1,
    )
    start = time.perf_counter()
    model = als.fit(ratings)
    model.userFactors.count()
    model.itemFactors.count()
    return time.perf_counter() - start


def _ratings(plan: Plan, confidences: csr_matrix) -> DataFrame:
    """Returns (user, item, rating) cached in Spark's memory, one partition per core."""
    users = np.repeat(np.arange(confidences.shape[0], dtype=np.int32), np.diff(confidences.indptr))
    columns: dict[str, Any] = {"user": users, "item": confidences.indices, "rating": confidences.data - 1}
    folder = plan.new_folder("ratings")
    pq.write_table(pa.table(columns), folder / "all.parquet")
    ratings = plan.spark().read.parquet(str(folder)).repartition(CORES).cache()
    ratings.count()
    return ratings
