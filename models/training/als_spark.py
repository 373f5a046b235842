"""The model of `models.training.als` trained on the cluster, by Spark ML's ALS.

The confidences and the objective are the same; only the start differs: Spark begins with random vectors, so it needs
more iterations, and it cannot begin with earlier factors. `models.training.anchors` explains how Spark gets our λ.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]
from pyspark.ml.recommendation import ALS, ALSModel
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as sf
from pyspark.storagelevel import StorageLevel

from conf.ids import IdKind
from conf.training import AlsSettings
from models.arrays.arrow import column_of, factor_matrix, list_column, whole
from models.errors import BadInteractions, TrainError
from models.training.anchors import LEAST, Anchors
from models.training.confidences import Constants
from models.training.memory import DataSize
from models.training.spectral import Factors

_ITERATIONS = 3
"""Alternations from random vectors that replace one from the spectral start."""
_CHECKPOINT_EVERY = 5
"""Iterations between checkpoints; what a lost machine held is computed again from the last one on."""
_KEPT = StorageLevel.MEMORY_AND_DISK
_ROW_BITS = 33
"""Low bits of Spark's monotonically increasing ids, which count within a partition; the others number the partition."""


@dataclass(frozen=True)
class SparkTrainStats:
    """Sizes, seconds and settings of a training on the cluster; names as in `models.training.train.TrainStats`."""

    interactions: int
    users: int
    sources: int
    read_seconds: float
    """Seconds until ids were rows and weights confidences."""
    fit_seconds: float
    iterations: int
    blocks: int
    constants: Constants
    """What `models.training.fold_in` needs to compute vectors of later users in this model."""
    algorithm: Literal["als_spark"] = "als_spark"
    started: Literal["cold"] = "cold"

    def to_json(self) -> dict[str, Any]:
        """Returns the fields by name."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class SparkEmbeddings:
    """contract.user_factors and contract.source_factors as DataFrames, sorted by id, until `release`."""

    user_factors: DataFrame
    source_factors: DataFrame
    stats: SparkTrainStats
    cached: tuple[DataFrame, ...]

    def release(self) -> None:
        """Frees Spark's memory and disk, once both tables are written."""
        for frame in self.cached:
            frame.unpersist()


def train_on_spark(
    interactions: DataFrame, settings: AlsSettings, ids: IdKind, *, blocks: int, checkpoints: str
) -> SparkEmbeddings:
    """Trains on contract.interactions, in any order, one row per pair; the driver gets only sums and anchors.

    blocks: parts of each side, as many as there are tasks to share the work; with seed and data they decide the random
    start. checkpoints: URI of a folder that every worker can write to, which the caller deletes afterwards. Raises
    BadInteractions and TrainError.
    """
    began = time.perf_counter()
    _check(interactions, ids)
    (users, kept_users), (sources, kept_sources) = (_rows(interactions, side) for side in ("user", "source"))
    pairs = _damped(interactions, users, sources, settings).persist(_KEPT)
    size, squares, constants = _measure(pairs, kept_users, kept_sources, settings)
    anchors = Anchors(settings.factors, constants.regularization, squares, size.users, size.sources)
    read = time.perf_counter()
    spark = interactions.sparkSession
    spark.sparkContext.setCheckpointDir(checkpoints)
    rating = (sf.col("damped") * constants.confidence_per_weight).cast("float").alias("rating")
    als = ALS(
        rank=settings.factors,
        maxIter=_ITERATIONS * settings.iterations,
        regParam=0.0,  # the anchors regularize
        implicitPrefs=True,
        alpha=1.0,  # ratings are confidence beyond 1, which Spark adds
        userCol="user_row",
        itemCol="source_row",
        ratingCol="rating",
        numUserBlocks=blocks,
        numItemBlocks=blocks,
        nonnegative=False,
        checkpointInterval=_CHECKPOINT_EVERY,
        seed=settings.seed,
    )
    ratings = pairs.select("user_row", "source_row", rating).union(spark.createDataFrame(anchors.ratings()))
    model = _fit(als, ratings)
    pairs.unpersist()
    turns = anchors.balance(
        _from(model.userFactors, size.users, settings.factors), _from(model.itemFactors, size.sources, settings.factors)
    )
    stats = SparkTrainStats(
        size.interactions,
        size.users,
        size.sources,
        read - began,
        time.perf_counter() - read,
        als.getMaxIter(),
        blocks,
        constants,
    )
    user_factors = _with_ids(model.userFactors, turns[0], users, "user")
    source_factors = _with_ids(model.itemFactors, turns[1], sources, "source")
    return SparkEmbeddings(user_factors, source_factors, stats, (kept_users, kept_sources))


def size_of(interactions: DataFrame) -> DataSize:
    """Returns the exact size of contract.interactions."""
    names = ("user_id", "source_id")
    counts = [sf.count("*"), *(sf.count_distinct(name) for name in names)]
    if dict(interactions.dtypes)["user_id"] != "string":
        return DataSize(*_sums(interactions, *counts))
    widest = sf.greatest(*(sf.max(sf.octet_length(name)) for name in names))
    return DataSize(*_sums(interactions, *counts, widest))


def _check(interactions: DataFrame, ids: IdKind) -> None:
    wanted = "bigint" if ids == "int64" else "string"
    kinds = dict(interactions.dtypes)
    for name in ("user_id", "source_id"):
        if kinds.get(name) != wanted:
            raise BadInteractions(f"interactions need {name} of type {wanted}, they have {kinds}")
    weight = sf.col("weight")
    good = (weight > 0) & (weight < math.inf) & sf.col("user_id").isNotNull() & sf.col("source_id").isNotNull()
    rows, kept = _sums(interactions, sf.count("*"), sf.count_if(good))
    if not rows:
        raise BadInteractions("there are no interactions to train on; check the windows and the event weights")
    if kept < rows:
        raise BadInteractions(
            f"{rows - kept:,} interactions lack an id or have a weight that is no positive number; leave such pairs out"
        )


def _rows(interactions: DataFrame, side: str) -> tuple[DataFrame, DataFrame]:
    """Returns a row per user (or source): its id, its position among the sorted ids (`user_row`, int32), and `user_n`.

    The second frame is the cached one behind it: sorting again could move the borders between partitions.
    """
    counted = interactions.groupBy(f"{side}_id").agg(sf.count("*").alias(f"{side}_n")).sort(f"{side}_id")
    placed = counted.withColumn("place", sf.monotonically_increasing_id()).persist(_KEPT)
    partition = sf.shiftright("place", _ROW_BITS)
    sizes = placed.groupBy(partition.alias("partition")).agg(sf.count("*").alias("size"))
    before = sf.sum("size").over(Window.orderBy("partition")) - sf.col("size")  # a row per partition
    starts = sizes.select("partition", before.alias("start"))
    row = (sf.col("start") + sf.col("place").bitwiseAND(2**_ROW_BITS - 1)).cast("int")
    numbered = placed.withColumn("partition", partition).join(sf.broadcast(starts), "partition")
    return numbered.select(f"{side}_id", row.alias(f"{side}_row"), f"{side}_n"), placed


def _damped(interactions: DataFrame, users: DataFrame, sources: DataFrame, settings: AlsSettings) -> DataFrame:
    """Returns user_row, source_row, damped = weight · n_user^−user_damping · n_source^−source_damping."""
    pairs = interactions.select("user_id", "source_id", "weight").join(users, "user_id").join(sources, "source_id")
    powers = sf.pow("user_n", sf.lit(-settings.user_damping)) * sf.pow("source_n", sf.lit(-settings.source_damping))
    return pairs.select("user_row", "source_row", (sf.col("weight") * powers).alias("damped"))


def _measure(
    pairs: DataFrame, users: DataFrame, sources: DataFrame, settings: AlsSettings
) -> tuple[DataSize, float, Constants]:
    """Returns the sizes, Σ c², and α and λ in absolute terms, by the formulas of `models.training.confidences`."""
    n, mean, mean_square = _sums(pairs, sf.count("*"), sf.avg("damped"), sf.avg(sf.col("damped") ** 2))
    (n_users,), (n_sources,) = (_sums(side, sf.count("*")) for side in (users, sources))
    alpha = settings.alpha * math.sqrt(n_users * n_sources / n)
    squares = n * (1 + 2 * alpha + alpha**2 * mean_square / mean**2)
    noise = math.sqrt(squares / n_users) + math.sqrt(squares / n_sources)
    regularization = max(settings.regularization * noise, LEAST)
    constants = Constants(alpha / mean, regularization, settings.user_damping, settings.source_damping)
    return DataSize(n, n_users, n_sources), squares, constants


def _sums(frame: DataFrame, *sums: Column) -> tuple[Any, ...]:
    row = frame.agg(*sums).first()
    assert row is not None  # an aggregate without groups has one
    return tuple(row)


def _fit(als: ALS, ratings: DataFrame) -> ALSModel:
    try:
        return als.fit(ratings)
    except Py4JJavaError as error:
        if "SingularMatrixException" not in str(error):
            raise
        raise TrainError("training on the cluster has no solution: look for extreme weights") from error


def _from(factors: DataFrame, first: int, dimensions: int) -> Factors:
    """Returns the anchors' factors (2d, d): the rows from `first` on."""
    anchors = factors.filter(sf.col("id") >= first).sort("id").toArrow()
    return factor_matrix(whole(anchors["features"]), dimensions)


def _with_ids(factors: DataFrame, turn: NDArray[np.float64], rows: DataFrame, side: str) -> DataFrame:
    """Returns Spark's (id, features), rotated, with the product's ids, sorted by them and without the anchors."""
    turned = factors.mapInArrow(partial(_turned, turn), "id int, factors array<float>")
    named = turned.withColumnRenamed("id", f"{side}_row").join(rows, f"{side}_row")
    return named.select(f"{side}_id", "factors").sort(f"{side}_id")


def _turned(turn: NDArray[np.float64], batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        vectors = (factor_matrix(batch["features"], len(turn)) @ turn).astype(np.float32)
        lists = list_column(np.full(len(vectors), len(turn)), column_of(vectors.ravel()))
        yield pa.RecordBatch.from_arrays([batch["id"], lists], ["id", "factors"])
