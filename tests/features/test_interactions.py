"""Weights of pairs: exact fixed-point sums, whatever the order."""

import datetime as dt
from collections import defaultdict
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from conf import contract
from conf.base import MAX_DAYS
from conf.contract import AMOUNT_ONE
from conf.settings import MAX_EVENT_WEIGHT, MIN_EVENT_WEIGHT, InteractionSettings
from features.interactions import FACTOR_ONE, FIXED_ONE, factor_of, interactions_of, weigh_pairs
from features.schema import spark_schema
from tests.features.world import AS_OF, ago, at

WEIGHTS = {"like": 1.0, "click": 0.3, "leave": -4.0, "view": 0.0}
SETTINGS = InteractionSettings(event_weights=WEIGHTS, half_life_days=3.0)
DAYS = tuple(ago(days) for days in (5, 4, 3, 2, 1))

PARTIALS = st.lists(
    st.tuples(
        st.integers(1, 3),  # user
        st.integers(1, 3),  # source
        st.sampled_from(sorted(WEIGHTS)),
        st.just(1),
        st.integers(-3 * AMOUNT_ONE, 40 * AMOUNT_ONE),
        st.sampled_from(DAYS).map(at),
        st.sampled_from(DAYS),
    ),
    max_size=30,
)


def frame(spark: SparkSession, rows: list[Any]) -> DataFrame:
    """Rows of daily partials with their day."""
    return spark.createDataFrame(rows, spark_schema(contract.daily_partials("int64")).add("dt", "date"))


def weighed(partials: DataFrame) -> dict[tuple[int, int], tuple[int, dt.datetime]]:
    """(user, source) → (fixed, last_ts) by Spark."""
    found = weigh_pairs(partials, SETTINGS, AS_OF, DAYS).toArrow().to_pylist()
    return {(row["user_id"], row["source_id"]): (row["fixed"], row["last_ts"]) for row in found}


def reference(rows: list[Any]) -> dict[tuple[int, int], tuple[int, dt.datetime]]:
    """The same in plain Python."""
    fixed: defaultdict[tuple[int, int], int] = defaultdict(int)
    last: dict[tuple[int, int], dt.datetime] = {}
    for user, source, event, _, amount, last_ts, day in rows:
        fixed[user, source] += amount * round(WEIGHTS[event] * 2 ** (-(AS_OF - day).days / 3.0) * FACTOR_ONE)
        last[user, source] = max(last.get((user, source), last_ts), last_ts)
    return {pair: (fixed[pair], last[pair]) for pair in fixed}


@examples(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=PARTIALS, random=st.randoms(use_true_random=False), parts=st.integers(1, 4))
def test_weights_are_the_reference_in_every_order(
    spark: SparkSession, rows: list[Any], random: Any, parts: int
) -> None:
    shuffled = random.sample(rows, len(rows))
    assert weighed(frame(spark, shuffled).repartition(parts)) == reference(rows)


@given(st.floats(-100, 100), st.integers(1, 90), st.floats(1, 60))
def test_a_factor_is_the_formula_to_the_last_unit(weight: float, age: int, half_life: float) -> None:
    exact = Fraction(weight) * Fraction(2.0 ** (-age / half_life)) * FACTOR_ONE
    assert abs(factor_of(weight, age, half_life) - exact) <= Fraction(1, 2) + Fraction(1, 1000)


@given(st.sampled_from([-1, 1]), st.floats(MIN_EVENT_WEIGHT, MAX_EVENT_WEIGHT), st.data())
def test_any_weight_of_the_settings_fits_and_counts(sign: int, size: float, data: st.DataObject) -> None:
    wanted = InteractionSettings(event_weights={"like": sign * size}, half_life_days=data.draw(st.floats(0.05, 1e9)))
    weight, half_life = wanted.event_weights["like"], wanted.half_life_days
    assert factor_of(weight, 0, half_life) != 0
    assert abs(factor_of(weight, data.draw(st.integers(0, MAX_DAYS)), half_life)) * AMOUNT_ONE < 2**63


def test_age_counts_from_the_day_and_halves(spark: SparkSession) -> None:
    rows = [
        (1, 1, "like", 1, AMOUNT_ONE, at(ago(1)), ago(1)),  # age 1
        (1, 2, "like", 1, AMOUNT_ONE, at(ago(4)), ago(4)),  # age 4, one half-life of 3 older
    ]
    found = weighed(frame(spark, rows))
    assert found[1, 1][0] / FIXED_ONE == pytest.approx(2 ** (-1 / 3), abs=1e-6)
    assert found[1, 2][0] / found[1, 1][0] == pytest.approx(0.5, abs=1e-6)


def test_interactions_are_positive_and_sorted_over_all_files(spark: SparkSession) -> None:
    rows = [(user, source, "like", 1, AMOUNT_ONE, at(ago(1)), ago(1)) for user in range(40, 0, -1) for source in (2, 1)]
    rows.append((1, 1, "leave", 1, AMOUNT_ONE, at(ago(1)), ago(1)))  # 1 − 4 < 0
    rows.append((7, 3, "view", 1, AMOUNT_ONE, at(ago(1)), ago(1)))  # weighs nothing
    pairs = weigh_pairs(frame(spark, rows), SETTINGS, AS_OF, DAYS)
    assert pairs.count() == 81
    kept = [(row["user_id"], row["source_id"]) for row in interactions_of(pairs).collect()]
    assert kept == sorted((user, source) for user in range(1, 41) for source in (1, 2) if (user, source) != (1, 1))


@pytest.mark.parametrize("amounts", [[2**62], [2**38, 2**38, 2**38]])  # the product, and the sum
def test_a_sum_beyond_63_bits_is_an_error(spark: SparkSession, amounts: list[int]) -> None:
    rows = [(1, 1, "like", 1, amount, at(ago(1)), ago(1)) for amount in amounts]
    settings = InteractionSettings(event_weights={"like": 2.0}, half_life_days=1.0)  # a factor of 2**24
    with pytest.raises(PySparkException, match="overflows 63 bits"):
        weigh_pairs(frame(spark, rows), settings, AS_OF, DAYS).collect()
