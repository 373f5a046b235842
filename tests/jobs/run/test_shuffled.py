"""Bytes of shuffles come from Spark's own counts."""

from pyspark.sql import SparkSession
from pyspark.sql import functions as sf

from jobs.run.shuffled import shuffled_bytes
from tests.publish.support.pushing import eventually


def test_a_shuffle_is_counted(spark: SparkSession) -> None:
    before = shuffled_bytes()
    assert before is not None
    assert spark.range(50_000).repartition(4, sf.rand(1)).groupBy("id").count().count() == 50_000
    eventually(lambda: (shuffled_bytes() or 0) - before > 50_000)  # Spark counts in a thread of its own
