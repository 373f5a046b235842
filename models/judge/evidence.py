"""What is known of the judged users, gathered once for all that judges them."""

from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as sf

COLUMNS = ("truths", "history", "excluded")
"""Columns of `gather_judged` beside user_id: arrays of source ids, empty where a user has none."""


def gather_judged(truth: DataFrame, interactions: DataFrame, exclusions: DataFrame, partitions: int) -> DataFrame:
    """Returns a row per user with a truth: user_id and COLUMNS, `excluded` possibly with repetitions.

    truth: contract.holdout; interactions and exclusions: those of the judged recipe. They are shuffled together and
    once, into so many partitions by user_id; cached, the rows need no shuffle to be joined by it.
    """
    tables = zip(COLUMNS, (truth, interactions, exclusions), strict=True)
    pairs = [table.select("user_id", "source_id", sf.lit(name).alias("of")) for name, table in tables]
    together = reduce(DataFrame.unionAll, pairs).repartition(partitions, "user_id")
    gathered = [sf.collect_list(sf.when(sf.col("of") == name, sf.col("source_id"))).alias(name) for name in COLUMNS]
    return (
        together.groupBy("user_id")
        .agg(*gathered)
        .where(sf.size("truths") > 0)
        .withColumn("truths", sf.array_distinct("truths"))
    )
