"""Lists measured by Spark: each planted violation fails its expectation at the gate, alone."""

import math
from typing import TYPE_CHECKING, Any

import pytest

from conf.gates import GateSettings, ListGate
from conf.ids import arm_of
from conf.share import EVERYBODY, Share
from expectations.errors import GateFailed, MeasureError
from expectations.gate import check_lists
from expectations.lists import FallbackList, FallbackProfile, ListProfile
from expectations.measure_lists import measure_lists
from tests.expectations.profiles import fallback_profile

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Row = tuple[Any, ...]
LISTS = "user_id bigint, source_ids array<bigint>, scores array<float>, personal boolean"
EXCLUSIONS = "user_id bigint, source_id bigint, reason string"
SOURCES = "source_id bigint, eligible boolean"
N = 3
SALT = "more-days-1"

CLEAN: tuple[Row, ...] = (
    (1, [10, 11, 12], [0.9, 0.5, 0.5], True),  # a tie is no ascent
    (2, [13, 10], [0.0, -0.1], True),  # shorter than n
    (3, [10, 11, 14], [3.0, 2.0, 1.0], False),
    (4, [], [], True),  # has seen everything
)
FORBIDDEN: tuple[Row, ...] = (
    (1, 13, "seen"),  # users 2 and 4 may have it
    (2, 11, "owned"),  # users 1 and 3 may have it
    (9, 20, "blocked"),  # a user without a list
    (21, 20, "seen"),
    (21, 20, "subscribed"),
    (22, 21, "blocked"),
    (22, 22, "blocked"),
    (22, 23, "blocked"),
    (23, 22, "owned"),
)
CATALOGUE: tuple[Row, ...] = (
    *((source, True) for source in (10, 11, 12, 13, 14, 20, 21, 22, 23)),
    (30, False),
    (31, None),  # unknown is not eligible
)
POPULAR = FallbackList([11, 10, 20, 23], [7.0, 5.0, 5.0, 0.0])  # 20 and 23 are in no list


def measured(
    spark: "SparkSession",
    *planted: Row,
    clean: tuple[Row, ...] = CLEAN,
    fallback: FallbackList = POPULAR,
    share_bp: Share = EVERYBODY,
) -> ListProfile:
    return measure_lists(
        spark.createDataFrame([*clean, *planted], LISTS),
        spark.createDataFrame(FORBIDDEN, EXCLUSIONS),
        spark.createDataFrame(CATALOGUE, SOURCES),
        fallback=fallback,
        n=N,
        expected_users=3,
        share_bp=share_bp,
        salt=SALT,
    )


def failed(profile: ListProfile) -> list[str]:
    settings = GateSettings(lists=ListGate(min_length_share=0.3))
    try:
        check_lists(lambda: profile, settings, None, {}, ids="int64", quality_ratio=None)
    except GateFailed as error:
        return [row.name for row in error.report.failed]
    return []


def test_clean_lists_are_measured_and_pass(spark: "SparkSession") -> None:
    profile = measured(spark)
    assert (profile.lists, profile.personal, profile.users, profile.full, profile.too_long) == (4, 3, 4, 2, 0)
    assert (profile.min_length, profile.mean_length) == (0, 2.0)
    assert (profile.eligible_sources, profile.listed_sources, profile.most_frequent) == (9, 5, 2)
    assert profile.fallback == fallback_profile(sources=4)
    assert ListProfile.model_validate_json(profile.model_dump_json()) == profile
    assert failed(profile) == []


PLANTED: list[tuple[str, list[Row], dict[str, object]]] = [
    (
        "no_nulls",
        [
            (None, [10], [1.0], True),
            (5, None, [1.0], True),
            (6, [10, None], [1.0, 0.5], True),
            (7, [10], None, True),
            (8, [10, 11], [1.0, None], True),
            (9, [10, 11, 12], [1.0, 0.5, 0.5], None),
            (10, [10, 11, 12], [1.0, 0.5, 0.5], True),
        ],
        {"nulls": {"user_id": 1, "source_ids": 2, "scores": 2, "personal": 1}},
    ),
    ("one_list_per_user", [(3, [10, 11, 12], [1.0, 1.0, 1.0], True)], {"lists": 5, "users": 4}),
    ("no_longer_than_n", [(5, [10, 11, 12, 13], [4.0, 3.0, 2.0, 1.0], True)], {"too_long": 1, "full": 2}),
    ("no_duplicates", [(5, [10, 11, 10], [1.0, 0.5, 0.1], True)], {"with_duplicates": 1, "most_frequent": 3}),
    (
        "finite_descending_scores",
        [
            (5, [10, 11, 12], [0.5, 1.0, 0.1], True),
            (6, [10, 11, 12], [1.0, math.nan, 0.5], True),
            (7, [10, 11, 12], [math.inf, 1.0, 0.5], True),
            (8, [10, 11, 12], [1.0, 0.5], True),
        ],
        {"ascending": 1, "non_finite": 2, "mismatched": 1},
    ),
    (
        "no_ineligible_source",
        [(5, [30, 31, 10], [1.0, 0.5, 0.1], True), (6, [99, 30, 10], [1.0, 0.5, 0.1], True)],  # 99 is in no table
        {"ineligible": 4, "listed_sources": 5},
    ),
]


@pytest.mark.parametrize(("name", "rows", "found"), PLANTED)
def test_bad_lists_fail_their_expectation_alone(
    spark: "SparkSession", name: str, rows: list[Row], found: dict[str, object]
) -> None:
    profile = measured(spark, *rows)
    assert {field: getattr(profile, field) for field in found} == found
    assert failed(profile) == [name]


def test_sources_that_their_users_must_not_get_fail_by_reason(spark: "SparkSession") -> None:
    planted: list[Row] = [
        (21, [10, 20, 11], [1.0, 0.5, 0.1], True),  # 20: seen and subscribed
        (22, [21, 22, 23], [1.0, 0.5, 0.1], True),  # all three blocked
        (23, [20, 21, 22], [1.0, 0.5, 0.1], False),  # 22 owned: the fallback list is no excuse
    ]
    profile = measured(spark, *planted)
    assert profile.excluded == {"seen": 1, "subscribed": 1, "blocked": 3, "owned": 1}
    assert failed(profile) == ["no_seen_source", "no_subscribed_source", "no_blocked_source", "no_owned_source"]


def test_a_list_of_a_user_whom_the_hash_does_not_name_fails(spark: "SparkSession") -> None:
    places = sorted(arm_of(user, SALT) for user, *_ in CLEAN)
    whole = measured(spark, share_bp=Share(places[-1] + 1))
    assert (whole.outside_share, failed(whole)) == (0, [])
    lacking = measured(spark, share_bp=Share(places[-2]))  # the first place that is not below the share
    assert (lacking.outside_share, failed(lacking)) == (2, ["no_user_outside_share"])


FALLBACKS: list[tuple[str, FallbackList, FallbackProfile]] = [
    ("fallback_not_empty", FallbackList([], []), fallback_profile(sources=0)),
    (  # 30 is not eligible, of 31 it is unknown, 99 is in no table, and a null
        "fallback_eligible",
        FallbackList([10, 30, 31, 99, None], [4.0, 3.0, 2.0, 1.0, 0.0]),
        fallback_profile(sources=5, ineligible=4),
    ),
    ("fallback_no_duplicates", FallbackList([10, 11, 10], [3.0, 2.0, 1.0]), fallback_profile(sources=3, duplicates=1)),
    (
        "fallback_finite_descending_scores",
        FallbackList([10, 11, 12, 13], [math.inf, 1.0, math.nan, 2.0, 1.0, 1.0]),
        fallback_profile(sources=4, mismatched=2, non_finite=2, ascending=1),
    ),
    ("fallback_finite_descending_scores", FallbackList([10, 11], [1.0]), fallback_profile(sources=2, mismatched=1)),
]


@pytest.mark.parametrize(("name", "fallback", "found"), FALLBACKS)
def test_bad_fallback_lists_fail_their_expectation_alone(
    spark: "SparkSession", name: str, fallback: FallbackList, found: FallbackProfile
) -> None:
    profile = measured(spark, fallback=fallback)
    assert profile.fallback == found
    assert failed(profile) == [name]


def test_no_lists_at_all_fail(spark: "SparkSession") -> None:
    profile = measured(spark, clean=())
    assert (profile.lists, profile.min_length, profile.ineligible, profile.most_frequent) == (0, None, 0, 0)
    assert failed(profile) == ["min_length_share", "min_coverage_of_users", "min_coverage_of_catalogue"]


def test_string_ids_are_measured_alike(spark: "SparkSession") -> None:
    profile = measure_lists(
        spark.createDataFrame([("a", ["x", "y"], [1.0, 0.5], True)], LISTS.replace("bigint", "string")),
        spark.createDataFrame([("a", "y", "seen")], EXCLUSIONS.replace("bigint", "string")),
        spark.createDataFrame([("x", True), ("y", False)], SOURCES.replace("bigint", "string")),
        fallback=FallbackList(["x", "y"], [2.0, 1.0]),
        n=N,
        expected_users=1,
        share_bp=Share(arm_of("a", SALT)),
        salt=SALT,
    )
    assert profile.columns[:2] == ("user_id string", "source_ids list<string>")
    assert (profile.excluded["seen"], profile.ineligible, profile.outside_share) == (1, 1, 1)
    assert profile.fallback == fallback_profile(sources=2, ineligible=1)


def test_a_missing_column_cannot_be_measured(spark: "SparkSession") -> None:
    lists = spark.createDataFrame([(1, [10], True)], "user_id bigint, source_ids array<bigint>, personal boolean")
    with pytest.raises(MeasureError, match="scores missing"):
        measure_lists(lists, lists, lists, fallback=POPULAR, n=N, expected_users=1, share_bp=EVERYBODY, salt=SALT)
