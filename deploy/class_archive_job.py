"""The job whose classes `deploy.class_archive` keeps: each kind of work that a run has Spark do, on a few rows."""

import tempfile
from collections.abc import Iterator

import pyarrow as pa
from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as sf


def work(spark: SparkSession, folder: str) -> None:
    """Writes and reads Parquet, joins, aggregates, ranks and passes rows through Python workers."""
    rows = spark.range(0, 2000, 1, 4).select(
        (sf.col("id") % 97).alias("user_id"),
        (sf.col("id") % 31).alias("source_id"),
        sf.when(sf.col("id") % 3 == 0, "like").otherwise("click").alias("event"),
        sf.timestamp_seconds(sf.col("id") + 1_700_000_000).alias("ts"),
        sf.lit("2026-11-01").alias("dt"),
    )
    rows.write.partitionBy("dt").mode("overwrite").option("parquet.block.size", 1 << 20).parquet(f"{folder}/events")
    events = spark.read.parquet(f"{folder}/events")
    pairs = _pairs(events)
    pairs.write.mode("overwrite").parquet(f"{folder}/pairs")
    kept = spark.read.parquet(f"{folder}/pairs")
    _lists(kept, events).write.mode("overwrite").parquet(f"{folder}/lists")
    _measure(spark.read.parquet(f"{folder}/lists"), kept)


def _pairs(events: DataFrame) -> DataFrame:
    weight = sf.when(sf.col("event") == "like", sf.lit(3.0)).otherwise(sf.lit(1.0))
    fixed = sf.round(weight * sf.pow(sf.lit(2.0), sf.datediff(sf.lit("2026-11-16"), "dt") / -7) * 2**20).cast("long")
    sums = events.withColumn("fixed", fixed).groupBy("user_id", "source_id")
    return sums.agg(sf.sum("fixed").alias("weight"), sf.max("ts").alias("last_ts"), sf.count("*").alias("events"))


def _lists(pairs: DataFrame, events: DataFrame) -> DataFrame:
    other = events.select("user_id", "source_id").where("source_id > 20").distinct()
    left = pairs.join(other, ["user_id", "source_id"], "left_anti").join(other.select("user_id").distinct(), "user_id")
    best = Window.partitionBy("user_id").orderBy(sf.desc("weight"), "source_id")
    ranked = left.withColumn("rank", sf.row_number().over(best)).where("rank <= 20")
    listed = ranked.groupBy("user_id").agg(sf.sort_array(sf.collect_list(sf.struct("rank", "source_id"))).alias("best"))
    lists = listed.select("user_id", sf.col("best.source_id").alias("source_ids"))
    placed = lists.withColumn("partition", sf.xxhash64("user_id") % 4).repartition(4, "partition")
    return placed.sortWithinPartitions("partition", "user_id").mapInArrow(_unchanged, placed.schema)


def _unchanged(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield from batches


def _measure(lists: DataFrame, pairs: DataFrame) -> None:
    kept = lists.persist(StorageLevel.DISK_ONLY)
    each = kept.select("user_id", sf.explode("source_ids").alias("source_id"))
    both = each.groupBy("source_id").agg(sf.count("*").alias("n")).union(pairs.groupBy("source_id").count())
    both.agg(
        sf.sum("n"), sf.percentile_approx("n", [0.1, 0.5]), sf.stddev("n"), sf.countDistinct("source_id")
    ).collect()
    each.join(pairs, ["user_id", "source_id"], "left_semi").agg(sf.count("*")).collect()
    hashed = sf.sha2(sf.concat_ws("|", sf.lit("salt"), sf.col("user_id").cast("string")), 256)
    kept.select(hashed, sf.size("source_ids"), sf.array_distinct("source_ids")).orderBy("user_id").limit(10).toArrow()
    kept.groupBy("partition").applyInArrow(lambda table: table, kept.schema).count()
    kept.unpersist()


if __name__ == "__main__":
    session = SparkSession.builder.appName("class archive").getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    with tempfile.TemporaryDirectory(prefix="discovery-classes-") as scratch:
        work(session, scratch)
    session.stop()
