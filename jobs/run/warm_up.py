"""Warms up Java while a run's servers are checked: it loads and compiles then what it would in the first stage.

On one machine only; executors of a cluster would not be warmed up.
"""

import datetime as dt

from pyspark import SparkFiles, StorageLevel
from pyspark.sql import SparkSession
from pyspark.sql import functions as sf

from conf.settings import InteractionSettings
from features.interactions import Span, interactions_of, weigh_pairs

_DAY = dt.date(2026, 1, 1)
_SETTINGS = InteractionSettings(event_weights={"event": 1.0})


def warm_up(spark: SparkSession) -> None:
    """Writes, reads, shuffles and sums a few rows, below the folder that Spark deletes at its end."""
    if not str(spark.sparkContext.master).startswith("local"):
        return
    folder = f"file://{SparkFiles.getRootDirectory()}/warm-up"
    number = sf.col("id")
    rows = spark.range(0, 1000, 1, 2).select(
        (number % 7).alias("user_id"),
        (number % 31).alias("source_id"),
        sf.when(number % 2 < 2, "event").alias("event"),
        sf.timestamp_seconds(number).alias("last_ts"),
        sf.lit(_DAY).alias("dt"),
    )
    sums = rows.repartition("dt").groupBy("user_id", "source_id", "event", "dt")
    partials = sums.agg(sf.max("last_ts").alias("last_ts"), sf.count("*").cast("double").alias("amount"))
    partials.write.mode("append").partitionBy("dt").option("compression", "zstd").parquet(f"{folder}/partials")
    read = (
        spark.read.schema(partials.schema).option("basePath", f"{folder}/partials").parquet(f"{folder}/partials/dt=*")
    )
    span = Span("run", {"": [_DAY]}, _DAY + dt.timedelta(1), with_first=True)
    pairs = weigh_pairs({"": read}, [span], _SETTINGS).persist(StorageLevel.DISK_ONLY)
    try:
        interactions_of(span.pairs_of(pairs)).write.mode("overwrite").parquet(f"{folder}/interactions")
    finally:
        pairs.unpersist()
