"""Sums that no order changes: against fractions, over the whole range that is promised."""

import math
from fractions import Fraction

from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from features.exact_sum import LARGEST, NOTHING, SMALLEST, exact_sum

SIZES = (
    st.floats(math.log2(SMALLEST), math.log2(LARGEST))
    .map(math.exp2)
    .map(lambda size: min(max(size, SMALLEST), LARGEST))
)
TERMS = st.one_of(
    SIZES, SIZES.map(lambda size: -size), st.sampled_from([0.0, 1.0, -1.0, 0.1, 0.2, -0.3, SMALLEST, LARGEST])
)
GROUPS = st.lists(
    st.one_of(st.lists(SIZES, min_size=1, max_size=9), st.lists(TERMS, min_size=1, max_size=9)), min_size=60
)


@examples(max_examples=4, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(groups=GROUPS, random=st.randoms(use_true_random=False))
def test_sums_are_those_of_fractions_in_every_order(
    spark: SparkSession, groups: list[list[float]], random: object
) -> None:
    rows = [(group, term) for group, terms in enumerate(groups) for term in terms]

    def sums(parts: int) -> dict[int, float]:
        shuffled = random.sample(rows, len(rows))  # type: ignore[attr-defined]
        frame = spark.createDataFrame(shuffled, "group int, term double").repartition(parts)
        return dict(map(tuple, frame.groupBy("group").agg(exact_sum("term").alias("sum")).collect()))

    found = sums(1)
    assert sums(3) == found
    for group, terms in enumerate(groups):
        exact, each = sum(map(Fraction, terms)), [abs(Fraction(term)) for term in terms]
        error = abs(Fraction(found[group]) - exact)
        assert error <= sum(each) / 2**11  # every term is within 0.05 % of itself
        assert error <= max(each) * Fraction(NOTHING) + len(terms) * Fraction(2) ** -65 + abs(exact) / 2**51
        if min(terms) >= 0:
            assert (found[group] > 0) == (max(terms) > 0)  # nothing vanishes


def test_what_cancels_out_in_decimals_is_nothing(spark: SparkSession) -> None:
    cases = [[0.1, 0.2, -0.3], [0.1, 0.1, 0.1, -0.3], [19.99, 5.01, -25.0], [1e8 + 0.1, -1e8, -0.1], [1e-3, -0.99e-3]]
    rows = [(case, term) for case, terms in enumerate(cases) for term in terms]
    frame = spark.createDataFrame(rows, "case int, term double").groupBy("case").agg(exact_sum("term").alias("sum"))
    sums = dict(map(tuple, frame.collect()))
    assert [sums[case] for case in range(4)] == [0.0] * 4
    assert math.isclose(sums[4], 1e-5, rel_tol=1e-9)  # little is not nothing
