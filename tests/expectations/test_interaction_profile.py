"""Interactions measured by Spark: against numpy, and each planted violation at the gate, alone."""

import datetime as dt
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from conf.gates import GateSettings, InteractionGate
from expectations.errors import GateFailed, MeasureError
from expectations.gate import check_interactions
from expectations.interactions import BINS, FIRST_BIN, InteractionProfile
from expectations.measure_interactions import measure_interactions
from tests.expectations.profiles import AS_OF, LAST, interaction_profile

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Row = tuple[Any, ...]
SCHEMA = "user_id bigint, source_id bigint, weight double, last_ts timestamp"
FIRST = LAST - dt.timedelta(days=9)

CLEAN: tuple[Row, ...] = (
    (1, 10, 1.0, LAST),
    (1, 11, 0.5, FIRST),  # a user with two sources
    (2, 10, 4.0, LAST),  # a source with two users
    (3, 12, 2.0, LAST),
)


def measured(spark: "SparkSession", rows: Sequence[Row], schema: str = SCHEMA) -> InteractionProfile:
    return measure_interactions(spark.createDataFrame(rows, schema))


def failed(profile: InteractionProfile) -> list[str]:
    limits = GateSettings(interactions=InteractionGate(min_rows=4, min_users=2, min_sources=2, max_weight=100))
    try:
        check_interactions(lambda: profile, limits, None, {}, ids="int64", as_of=AS_OF)
    except GateFailed as error:
        return [row.name for row in error.report.failed]
    return []


def test_clean_rows_are_measured_and_pass(spark: "SparkSession") -> None:
    profile = measured(spark, CLEAN)
    assert (profile.rows, profile.users, profile.sources, profile.duplicates) == (4, 3, 3, 0)
    assert (profile.min, profile.max, profile.mean) == (0.5, 4.0, 1.875)
    assert (profile.first_ts, profile.last_ts) == (FIRST, LAST)
    assert profile.quantiles == (0.5, 1.0, 4.0, 4.0)
    assert {k + FIRST_BIN: count for k, count in enumerate(profile.histogram) if count} == {-1: 1, 0: 1, 1: 1, 2: 1}
    assert InteractionProfile.model_validate_json(profile.model_dump_json()) == profile
    assert failed(profile) == []


PLANTED: list[tuple[str, list[Row], dict[str, object]]] = [
    (
        "no_nulls",
        [(None, 10, 1.0, LAST), (1, None, 1.0, LAST), (4, 10, None, LAST), (4, 11, 1.0, None), (4, 12, 1.0, None)],
        {"nulls": {"user_id": 1, "source_id": 1, "weight": 1, "last_ts": 2}},
    ),
    (
        "positive_finite_weights",
        [
            (4, 10, 0.0, LAST),
            (4, 11, -1.0, LAST),
            (4, 12, math.nan, LAST),
            (5, 10, math.inf, LAST),
            (5, 11, -math.inf, LAST),
        ],
        {"non_positive": 2, "non_finite": 3, "min": -1.0, "max": 4.0},
    ),
    (
        "no_duplicates",
        [(1, 10, 2.5, LAST), (1, 10, 1.0, LAST)],  # the pair of the first row, with another weight and as it is
        {"duplicates": 2, "rows": 6},
    ),
]


@pytest.mark.parametrize(("name", "rows", "found"), PLANTED)
def test_bad_rows_fail_their_expectation_alone(
    spark: "SparkSession", name: str, rows: list[Row], found: dict[str, object]
) -> None:
    profile = measured(spark, [*CLEAN, *rows])
    assert {field: getattr(profile, field) for field in found} == found
    assert failed(profile) == [name]


def test_another_type_fails_the_schema_alone(spark: "SparkSession") -> None:
    profile = measured(spark, CLEAN, SCHEMA.replace("weight double", "weight float"))
    assert profile.columns[2] == "weight float"
    assert failed(profile) == ["schema"]


def test_no_rows_at_all_fail(spark: "SparkSession") -> None:
    profile = measured(spark, [])
    assert (profile.rows, profile.mean, profile.quantiles, profile.last_ts) == (0, None, (), None)
    assert {"min_rows", "min_users", "min_sources", "max_weight"} <= set(failed(profile))


def test_a_missing_column_cannot_be_measured(spark: "SparkSession") -> None:
    with pytest.raises(MeasureError, match=r"last_ts missing; the table has user_id, source_id, weight"):
        measure_interactions(
            spark.createDataFrame([row[:3] for row in CLEAN], "user_id long, source_id long, weight double")
        )


def frame(spark: "SparkSession", weights: "np.typing.NDArray[np.float64]") -> "DataFrame":
    rows = [
        (k % 100, k // 100, float(weight), LAST if k else LAST - dt.timedelta(days=9))
        for k, weight in enumerate(weights)
    ]
    return spark.createDataFrame(rows, SCHEMA)


def test_spark_measures_what_numpy_does(spark: "SparkSession") -> None:
    weights = np.random.default_rng(3).lognormal(0.0, 3.0, 2000)
    weights[:2] = 1e-9, 1e12  # beyond the outermost edges
    got, expected = measure_interactions(frame(spark, weights)), interaction_profile(weights)
    assert got.histogram == expected.histogram
    assert sum(got.histogram) == 2000
    assert (len(got.histogram), got.min, got.max, got.users, got.sources) == (BINS, 1e-9, 1e12, 100, 20)
    assert got.mean == pytest.approx(expected.mean)
    assert got.quantiles == pytest.approx(expected.quantiles)
    assert got.columns == expected.columns
