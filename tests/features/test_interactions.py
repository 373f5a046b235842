"""Weights of pairs: sums that no order changes, of what weighs enough to count."""

import datetime as dt
import math
from collections import defaultdict
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sf

from conf import contract
from conf.base import MAX_DAYS
from conf.errors import ConfigError
from conf.settings import MAX_EVENT_WEIGHT, MIN_EVENT_WEIGHT, InteractionSettings
from features.errors import BadRowsError, WeightsError
from features.exact_sum import LARGEST, SMALLEST
from features.interactions import (
    Span,
    check_factors,
    check_sums,
    factor_of,
    interactions_of,
    range_starts,
    weigh_pairs,
)
from features.partials import DailyPartials, check_partials, daily_partials, valid_rows
from features.reading.catalog import PartialRecord
from features.reading.rows import MAX_WEIGHT, MIN_WEIGHT
from features.tables import spark_schema
from tests.features.fakes import FakeCatalog
from tests.features.world import AS_OF, EVENT_SCHEMA, ago, at, dataset, table

_N = pa.field("n", pa.float64())
WEIGHTS = {"like": 1.0, "click": 0.3, "leave": -4.0, "view": 0.0}
SETTINGS = InteractionSettings(event_weights=WEIGHTS, half_life_days=3.0)
DAYS = tuple(ago(days) for days in (5, 4, 3, 2, 1))
SPAN = Span("run", {"clicks": DAYS}, AS_OF)

PARTIALS = st.lists(
    st.tuples(
        st.integers(1, 3),  # user
        st.integers(1, 3),  # source
        st.sampled_from(sorted(WEIGHTS)),
        st.just(1),
        st.one_of(st.integers(1, 40).map(float), st.floats(-3, 40).filter(lambda amount: abs(amount) > MIN_WEIGHT)),
        st.sampled_from(DAYS).map(at),
        st.sampled_from(DAYS),
    ),
    max_size=30,
)


def frame(spark: SparkSession, rows: list[Any]) -> DataFrame:
    """Rows of daily partials with their day."""
    return spark.createDataFrame(rows, spark_schema(contract.daily_partials("int64")).add("dt", "date"))


def weighed(partials: DataFrame) -> dict[tuple[int, int], tuple[float, dt.datetime]]:
    """(user, source) → (weight, last_ts) by Spark."""
    found = SPAN.pairs_of(weigh_pairs({"clicks": partials}, [SPAN], SETTINGS)).toArrow().to_pylist()
    return {(row["user_id"], row["source_id"]): (row["weight"], row["last_ts"]) for row in found}


def reference(rows: list[Any]) -> dict[tuple[int, int], tuple[float, dt.datetime]]:
    """The same in plain Python."""
    terms: defaultdict[tuple[int, int], list[float]] = defaultdict(list)
    last: dict[tuple[int, int], dt.datetime] = {}
    for user, source, event, _, amount, last_ts, day in rows:
        terms[user, source].append(amount * WEIGHTS[event] * 2 ** (-(AS_OF - day).days / 3.0))
        last[user, source] = max(last.get((user, source), last_ts), last_ts)
    return {pair: (math.fsum(terms[pair]), last[pair]) for pair in terms}


@examples(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(rows=PARTIALS, random=st.randoms(use_true_random=False), parts=st.integers(1, 4))
def test_weights_are_the_reference_and_the_same_in_every_order(
    spark: SparkSession, rows: list[Any], random: Any, parts: int
) -> None:
    found, expected = weighed(frame(spark, rows)), reference(rows)
    assert weighed(frame(spark, random.sample(rows, len(rows))).repartition(parts)) == found
    assert {pair: last for pair, (_, last) in found.items()} == {pair: last for pair, (_, last) in expected.items()}
    for pair, (weight, _) in expected.items():
        assert found[pair][0] == pytest.approx(weight, rel=1e-9, abs=1e-9)


@examples(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(clicks=PARTIALS, reads=PARTIALS, cut=st.integers(1, 5))
def test_spans_that_are_weighed_in_one_pass_are_those_weighed_alone(
    spark: SparkSession, clicks: list[Any], reads: list[Any], cut: int
) -> None:
    frames = {"clicks": frame(spark, clicks), "reads": frame(spark, reads)}
    before, after = [day for day in DAYS if day < ago(cut)], [day for day in DAYS if day >= ago(cut)]
    spans = [
        Span("run", {"clicks": DAYS, "reads": DAYS}, AS_OF),
        Span("train", {"clicks": before, "reads": before}, ago(cut)),
        Span("test", {"clicks": after, "reads": after}, AS_OF),
    ]
    together = weigh_pairs(frames, spans, SETTINGS).persist()
    for span in spans:
        kept = {name: rows.where(sf.col("dt").isin(*span.days[name])) for name, rows in frames.items()}
        alone = span.pairs_of(weigh_pairs(kept, [span], SETTINGS))
        assert sorted(span.pairs_of(together).collect()) == sorted(alone.collect())
    together.unpersist()


def test_rows_are_shuffled_once_for_weights_and_order(spark: SparkSession) -> None:
    rows = [(user, 1, "like", 1, 1.0, at(ago(1)), ago(1)) for user in range(40)]
    pairs = SPAN.pairs_of(weigh_pairs({"clicks": frame(spark, rows)}, [SPAN], SETTINGS))
    assert interactions_of(pairs)._jdf.queryExecution().executedPlan().toString().count("Exchange") == 1


@pytest.mark.parametrize("starts", [(), (7,), (-3, 4, 5, 31, 90)])
def test_ranges_of_users_are_partitions_in_order(spark: SparkSession, starts: tuple[int, ...]) -> None:
    rows = [(user, source, "like", 1, 1.0, at(ago(1)), ago(1)) for user in range(40, 0, -1) for source in (2, 1)]
    pairs = SPAN.pairs_of(weigh_pairs({"clicks": frame(spark, rows)}, [SPAN], SETTINGS, starts))
    assert pairs._jdf.queryExecution().executedPlan().toString().count("Exchange") == 1
    ranges = [(-math.inf, *starts)[i] for i in range(len(starts) + 1)]
    found = pairs.select("user_id", "source_id", sf.spark_partition_id()).collect()
    expected = [
        (user, source, sum(user >= start for start in ranges) - 1) for user in range(1, 41) for source in (1, 2)
    ]
    assert [tuple(row) for row in found] == expected


def test_ranges_of_text_are_in_order(spark: SparkSession) -> None:
    users = ["", "Z", "a", "aü", "é", "\uffff", "\U0001f600"]
    schema = spark_schema(contract.daily_partials("string")).add("dt", "date")
    rows = [(user, "s", "like", 1, 1.0, at(ago(1)), ago(1)) for user in reversed(users)]
    starts = range_starts(users, 4)
    pairs = weigh_pairs({"clicks": spark.createDataFrame(rows, schema)}, [SPAN], SETTINGS, starts)
    assert len(starts) == 3
    assert [row["user_id"] for row in pairs.collect()] == users


@given(st.lists(st.integers(-5, 5)), st.integers(1, 20))
def test_ranges_begin_at_users_of_the_sample(users: list[int], ranges: int) -> None:
    starts = range_starts(users, ranges)
    assert starts == sorted({*starts})
    assert {*starts} <= {*users}
    assert len(starts) < ranges


def test_ranges_hold_as_many_rows() -> None:
    assert range_starts([*range(100, 0, -1)], 4) == [26, 51, 76]
    assert range_starts([], 4) == []


@given(st.sampled_from([-1, 1]), st.floats(MIN_EVENT_WEIGHT, MAX_EVENT_WEIGHT), st.data())
def test_any_weight_of_the_settings_fits_and_counts(sign: int, size: float, data: st.DataObject) -> None:
    wanted = InteractionSettings(event_weights={"like": sign * size}, half_life_days=data.draw(st.floats(0.05, 1e9)))
    weight, half_life = wanted.event_weights["like"], wanted.half_life_days
    assert abs(factor_of(weight, 1, half_life)) >= SMALLEST
    assert abs(factor_of(weight, data.draw(st.integers(0, MAX_DAYS)), half_life)) <= LARGEST


def test_age_counts_from_the_day_and_halves(spark: SparkSession) -> None:
    rows = [
        (1, 1, "like", 1, 1.0, at(ago(1)), ago(1)),  # age 1
        (1, 2, "like", 1, 1.0, at(ago(4)), ago(4)),  # age 4, one half-life of 3 older
    ]
    found = weighed(frame(spark, rows))
    assert found[1, 1][0] == pytest.approx(2 ** (-1 / 3))
    assert found[1, 2][0] / found[1, 1][0] == pytest.approx(0.5)


def test_interactions_are_positive_and_sorted_over_all_files(spark: SparkSession) -> None:
    rows = [(user, source, "like", 1, 1.0, at(ago(1)), ago(1)) for user in range(40, 0, -1) for source in (2, 1)]
    rows.append((1, 1, "leave", 1, 1.0, at(ago(1)), ago(1)))  # 1 − 4 < 0
    rows.append((7, 3, "view", 1, 1.0, at(ago(1)), ago(1)))  # weighs nothing
    pairs = SPAN.pairs_of(weigh_pairs({"clicks": frame(spark, rows)}, [SPAN], SETTINGS))
    assert pairs.count() == 81
    kept = [(row["user_id"], row["source_id"]) for row in interactions_of(pairs).collect()]
    assert kept == sorted((user, source) for user in range(1, 41) for source in (1, 2) if (user, source) != (1, 1))


SIZES = st.floats(math.log(MIN_EVENT_WEIGHT), math.log(MAX_EVENT_WEIGHT)).map(math.exp)
EVENT_WEIGHTS = st.one_of(
    SIZES.filter(lambda size: MIN_EVENT_WEIGHT <= size <= MAX_EVENT_WEIGHT),
    st.sampled_from([0.0, -1.0, -MIN_EVENT_WEIGHT]),
)


@given(EVENT_WEIGHTS, st.floats(0.05, 1e4), st.integers(1, 4000), st.sampled_from([None, "n"]))
def test_every_event_of_a_window_weighs_enough_to_count_or_the_settings_are_refused(
    weight: float, half_life: float, oldest: int, column: str | None
) -> None:
    settings = InteractionSettings(event_weights={"poke": weight}, half_life_days=half_life)
    clicks, least = dataset(columns={"weight": column}), 1.0 if column is None else MIN_WEIGHT
    if weight == 0 or abs(factor_of(weight, oldest, half_life)) * least >= SMALLEST:
        check_factors("clicks", clicks, oldest, settings)
        return
    with pytest.raises(
        ConfigError, match=rf"dataset 'clicks' \(clicks\): an event 'poke' that is {oldest} days old"
    ) as no:
        check_factors("clicks", clicks, oldest, settings)
    assert no.value.exit_code == 2
    assert "Shorten the window, lengthen interactions.half_life_days, or multiply" in str(no.value)


def partials_of(largest: dict[tuple[int, str], float]) -> DailyPartials:
    """Partials of `clicks` whose largest amounts are {(days ago, event): amount}."""
    days = sorted({day for day, _ in largest}, reverse=True)
    counts: dict[str, Any] = {"fingerprint": "f", "recipe": "r", "rows": 9, "ignored": 0, "erased": 0, "dropped": {}}
    records = (
        PartialRecord(
            day=ago(day),
            events={event: 9 for at_, event in largest if at_ == day},
            largest={event: amount for (at_, event), amount in largest.items() if at_ == day},
            users=1,
            **counts,
        )
        for day in days
    )
    return DailyPartials("clicks", tuple(records), ())


@given(
    st.dictionaries(
        st.tuples(st.integers(1, 60), st.sampled_from(sorted(WEIGHTS))), st.floats(0, 2.0**60), min_size=1, max_size=20
    ),
    st.floats(0.1, 100),
    st.floats(1e-5, 2e5),
)
def test_no_sum_that_is_accepted_can_be_too_large_and_the_largest_of_others_is_named(
    largest: dict[tuple[int, str], float], half_life: float, scale: float
) -> None:
    weights = {event: weight * scale for event, weight in WEIGHTS.items()}
    settings = InteractionSettings(event_weights=weights, half_life_days=half_life)
    terms = {key: amount * abs(factor_of(weights[key[1]], key[0], half_life)) for key, amount in largest.items()}
    partials = {"clicks": partials_of(largest)}
    span = Span("run", {"clicks": [ago(day) for day, _ in largest]}, AS_OF)
    if math.fsum(terms.values()) <= LARGEST:
        check_sums(partials, span, settings)
        return
    with pytest.raises(WeightsError) as no:
        check_sums(partials, span, settings)
    assert no.value.exit_code == 2
    named = [(day, event) for day, event in terms if f"{event!r} in dataset 'clicks', dt={ago(day)}:" in str(no.value)]
    assert [terms[key] for key in named] == [max(terms.values())]


def test_days_that_nobody_asks_about_are_not_summed() -> None:
    partials = {"clicks": partials_of({(1, "like"): 1.0, (2, "like"): 1e30})}
    check_sums(partials, Span("test", {"clicks": [ago(1)]}, AS_OF), SETTINGS)
    with pytest.raises(WeightsError, match=rf"weight of 6.3e\+29, .*'like' in dataset 'clicks', dt={ago(2)}: one user"):
        check_sums(partials, Span("run", {"clicks": [ago(1), ago(2)]}, AS_OF), SETTINGS)


VALUES = st.one_of(
    st.floats(math.log2(MIN_WEIGHT) - 3, math.log2(MAX_WEIGHT) + 3).map(math.exp2),
    st.sampled_from([MIN_WEIGHT, math.nextafter(MIN_WEIGHT, 0), MAX_WEIGHT, math.nextafter(MAX_WEIGHT, 2e9), 5e-324]),
    st.sampled_from([0.0, 5e-6, 1e8, math.inf, math.nan]),
)


@examples(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    weights=st.lists(st.tuples(st.integers(1, 3), VALUES), min_size=30, max_size=120),
    event_weight=st.floats(1e-6, 1e3),
    half_life=st.floats(0.5, 60),
)
def test_a_weight_column_counts_within_a_thousandth_or_its_rows_are_counted_as_unusable(
    spark: SparkSession, weights: list[tuple[int, float]], event_weight: float, half_life: float
) -> None:
    schema = EVENT_SCHEMA.append(_N)
    rows = [(user, user, "like", at(ago(day)), weight) for user, (day, weight) in enumerate(weights)]
    days = {ago(day): table(schema, *(row for row in rows if row[3] == at(ago(day)))) for day in (1, 2, 3)}
    catalog, clicks = FakeCatalog(spark, {"clicks": days}), dataset(columns={"weight": "n"}, bad_row_budget=0.99)
    parts = [part for part in catalog.partitions(clicks, list(days)).finished if part.rows]
    made = daily_partials("clicks", clicks, parts, "int64", catalog)

    counted = {user: weight for user, (_, weight) in enumerate(weights) if MIN_WEIGHT <= weight <= MAX_WEIGHT}
    small = sum(0 < weight < MIN_WEIGHT for _, weight in weights)
    dropped = [record.dropped for record in made.records]
    assert sum(counts.get("weight_too_small", 0) for counts in dropped) == small
    assert sum(counts.get("bad_weight", 0) for counts in dropped) == sum(not w <= MAX_WEIGHT for _, w in weights)

    settings = InteractionSettings(event_weights={"like": event_weight}, half_life_days=half_life)
    check_factors("clicks", clicks, 3, settings)
    kept = valid_rows(catalog.partials.read("clicks", [part.day for part in parts], "int64"))
    span = Span("run", {"clicks": sorted(days)}, AS_OF)
    try:
        check_sums({"clicks": made}, span, settings)
    except WeightsError:
        return  # whole: nothing of it is summed
    pairs = span.pairs_of(weigh_pairs({"clicks": kept}, [span], settings))
    found = {row["user_id"]: row["weight"] for row in interactions_of(pairs).collect()}
    expected = {user: weight * factor_of(event_weight, weights[user][0], half_life) for user, weight in counted.items()}
    assert found == {user: pytest.approx(weight, rel=1e-3) for user, weight in expected.items()}


def test_weights_that_do_not_count_are_told_with_what_to_do(spark: SparkSession) -> None:
    rows = [(1, 1, "like", at(ago(1)), 5e-9), (2, 1, "like", at(ago(1)), 1e10), (3, 1, "like", at(ago(1)), 5e-6)]
    catalog = FakeCatalog(spark, {"clicks": {ago(1): table(EVENT_SCHEMA.append(_N), *rows)}})
    clicks = dataset(columns={"weight": "n"})
    made = daily_partials("clicks", clicks, catalog.partitions(clicks, [ago(1)]).finished, "int64", catalog)
    with pytest.raises(BadRowsError) as refused:
        check_partials(made, clicks, [ago(1)], ["like"])
    assert "2 of 3 rows are unusable" in str(refused.value)
    assert "1 with a weight that is not 0 and within ±5.96e-08 (write it in a smaller unit)" in str(refused.value)
    assert "beyond ±1.07e+09 (write it in a larger unit)" in str(refused.value)
