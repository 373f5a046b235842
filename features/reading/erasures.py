"""Leaves out users who must be forgotten from rows that are read: datasets, daily partials, tables of earlier runs."""

from collections.abc import Collection

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sf

from conf.ids import UserId


def without_users(frame: DataFrame, erased: Collection[UserId], column: str = "user_id") -> DataFrame:
    """Returns the rows of users not in `erased`; rows without a user stay, since they are counted as faults."""
    if not erased:
        return frame
    users = _users(frame.sparkSession, erased, column)
    return frame.join(sf.broadcast(users), column, "left_anti").select(*frame.columns)


def with_erased(frame: DataFrame, erased: Collection[UserId], column: str = "user_id") -> DataFrame:
    """Returns the rows with a column `erased` (never null): whether the user is in `erased`."""
    if not erased:
        return frame.withColumn("erased", sf.lit(col=False))
    users = _users(frame.sparkSession, erased, column).withColumn("erased", sf.lit(col=True))
    joined = frame.join(sf.broadcast(users), column, "left")
    return joined.select(*frame.columns, sf.coalesce("erased", sf.lit(col=False)).alias("erased"))


def without_owners(sources: DataFrame, erased: Collection[UserId]) -> DataFrame:
    """Returns all sources; those owned by a user in `erased` get no owner."""
    if not erased or "owner_id" not in sources.columns:
        return sources
    owner = sf.when(~sf.col("erased"), sf.col("owner_id")).alias("owner_id")
    columns = [owner if name == "owner_id" else sf.col(name) for name in sources.columns]
    return with_erased(sources, erased, "owner_id").select(*columns)


def _users(spark: SparkSession, erased: Collection[UserId], column: str) -> DataFrame:
    kind = pa.int64() if all(isinstance(user, int) for user in erased) else pa.string()
    return spark.createDataFrame(pa.table({column: pa.array(sorted(erased, key=str), kind)}))
