"""Bootstrap intervals: what partitions must not change, and how wide they must be."""

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import functions as sf

from models.judge.bootstrap import ALL, bootstrap_means, poisson_weights

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

USERS, REPLICATES = 3_000, 400


def rows_of(spark: "SparkSession") -> "DataFrame":
    """Users with x of mean 0.5 and y = x + 0.01, which half of them lack; every third is light."""
    draw = np.random.default_rng(3)
    x = draw.random(USERS)
    frame = pd.DataFrame(
        {"user_id": np.arange(USERS), "x": x, "y": np.where(draw.random(USERS) < 0.5, x + 0.01, np.nan)}
    )
    frame["segment"] = np.where(frame["user_id"] % 3 == 0, "light", "heavy")
    rows = spark.createDataFrame(frame)
    return rows.replace(float("nan"), None, subset=["y"])


def test_partitions_and_order_change_nothing(spark: "SparkSession") -> None:
    rows = rows_of(spark)
    whole, parts = rows.coalesce(1), rows.orderBy("x").repartition(7)
    assert [frame.rdd.getNumPartitions() for frame in (whole, parts)] == [1, 7]
    values = [rows["x"], rows["y"]]
    found, again = (bootstrap_means(frame, values, replicates=40, seed=1) for frame in (whole, parts))
    assert found == again
    assert found != bootstrap_means(rows, values, replicates=40, seed=2)


def test_means_are_exact_and_intervals_as_wide_as_theory_says(spark: "SparkSession") -> None:
    rows = rows_of(spark)
    known = rows.toPandas()
    found = bootstrap_means(rows, [rows["x"], rows["y"], rows["y"] - rows["x"]], replicates=REPLICATES, seed=1)
    assert found.keys() == {ALL, "light", "heavy"}
    for segment, estimates in found.items():
        part = known if segment == ALL else known[known["segment"] == segment]
        x, y, difference = estimates
        assert x is not None
        assert y is not None
        assert difference is not None
        assert (x.users, y.users) == (len(part), part["y"].notna().sum())
        assert (x.mean, y.mean) == pytest.approx((part["x"].mean(), part["y"].mean()))
        width = 2 * 1.96 * part["x"].std() / math.sqrt(len(part))
        assert x.high - x.low == pytest.approx(width, rel=0.2)
        assert x.low < x.mean < x.high
        assert (difference.mean, difference.low, difference.high) == pytest.approx((0.01, 0.01, 0.01))  # paired


def test_nobody_and_nothing(spark: "SparkSession") -> None:
    rows = rows_of(spark)
    assert bootstrap_means(rows.where("user_id < 0"), [rows["x"]], replicates=20, seed=1) == {}
    one = rows.where("user_id = 1")  # in a third of the replicates not drawn
    alone, missing = bootstrap_means(one, [one["x"], sf.lit(None)], replicates=20, seed=1)[ALL]
    assert alone is not None
    assert alone.low == alone.mean == alone.high
    assert missing is None


def test_weights_are_poisson_and_of_the_key_alone() -> None:
    keys = np.random.default_rng(1).integers(-(2**63), 2**63 - 1, 20_000)
    weights = poisson_weights(keys, 30).astype(np.float64)
    assert weights.shape == (20_000, 30)
    shares = [(weights == count).mean() for count in range(5)]
    assert shares == pytest.approx([math.exp(-1) / math.factorial(count) for count in range(5)], abs=0.003)
    correlations = np.corrcoef(weights.T)[~np.eye(30, dtype=bool)]
    assert np.abs(correlations).max() < 0.04
    neighbours = poisson_weights(np.arange(20_000), 1).ravel().astype(np.float64)
    assert abs(np.corrcoef(neighbours[1:], neighbours[:-1])[0, 1]) < 0.04
    assert (poisson_weights(keys[::-1], 30)[::-1] == weights).all()
