"""Bytes of shuffles come from Spark's own counts."""

import pytest
from pyspark import SparkContext
from pyspark.sql import SparkSession
from pyspark.sql import functions as sf

from jobs.run.shuffled import shuffled_bytes
from tests.publish.support.pushing import eventually


def test_a_shuffle_is_counted(spark: SparkSession) -> None:
    before = shuffled_bytes()
    assert before is not None
    assert spark.range(50_000).repartition(4, sf.rand(1)).groupBy("id").count().count() == 50_000
    eventually(lambda: (shuffled_bytes() or 0) - before > 50_000)  # Spark counts in a thread of its own


@pytest.mark.parametrize("context", [None, object.__new__(SparkContext)])
def test_there_is_nothing_while_a_session_still_opens(
    context: SparkContext | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SparkContext, "_active_spark_context", context)
    assert shuffled_bytes() is None
