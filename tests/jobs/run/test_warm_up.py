"""What Java does while servers are checked leaves nothing behind."""

from pathlib import Path

from pyspark import SparkFiles
from pyspark.sql import SparkSession

from jobs.run.warm_up import warm_up


def test_it_works_and_leaves_nothing_but_temporary_files(spark: SparkSession) -> None:
    java = spark.sparkContext._jsc
    before = set(java.getPersistentRDDs())
    warm_up(spark)
    folder = Path(SparkFiles.getRootDirectory()) / "warm-up"
    assert spark.read.parquet(f"file://{folder}/interactions").count() == 7 * 31
    assert set(java.getPersistentRDDs()) == before
