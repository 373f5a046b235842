"""The gates on profiles by hand: each expectation fails alone, the clean case passes, everything else fails closed."""

import datetime as dt
import threading
import time
from typing import Any

import pytest

from conf.base import Strict
from conf.gates import InputGate, InteractionGate, ListGate
from expectations.errors import GateFailed, OverrideRefused
from expectations.gate import check_interactions, check_lists
from expectations.interactions import InteractionProfile
from expectations.lists import ListProfile
from tests.expectations.gates import SETTINGS, failed, gate_1, gate_2
from tests.expectations.profiles import AS_OF, fallback_profile, interaction_profile, list_profile

INTERACTIONS_FAIL: list[tuple[str, dict[str, Any]]] = [
    ("schema", {"columns": ("user_id string", "source_id int64", "weight double", "last_ts timestamp[us, tz=UTC]")}),
    ("no_nulls", {"nulls": {"user_id": 0, "source_id": 0, "weight": 0, "last_ts": 1}}),
    ("positive_finite_weights", {"non_finite": 1}),
    ("positive_finite_weights", {"non_positive": 1}),
    ("no_duplicates", {"duplicates": 1}),
    ("before_as_of", {"last_ts": dt.datetime(2026, 11, 16, tzinfo=dt.UTC)}),  # the first moment that is too late
    ("before_as_of", {"last_ts": None}),
    ("min_rows", {"rows": 999}),  # against a baseline of 1,200 below
    ("min_users", {"users": 49}),
    ("min_sources", {"sources": 9}),
    ("max_weight", {"max": 100.5}),
    ("max_weight", {"max": None}),
    ("max_change_of_rows", {"rows": 1801}),
    ("max_change_of_rows", {"users": 140}),
    ("max_change_of_rows", {"sources": 40}),
    ("max_change_of_mean", {"mean": 2.9}),
    ("max_change_of_mean", {"mean": None}),
    ("max_change_of_quantiles", {"quantiles": (0.5, 1.0, 4.0, 7.1)}),
    ("max_change_of_quantiles", {"quantiles": ()}),
    ("max_divergence", {"histogram": (0,) * 11 + (2000,) + (0,) * 20}),  # everything in one of four bins
    ("max_divergence", {"histogram": (0,) * 32}),
]


@pytest.mark.parametrize(("name", "change"), INTERACTIONS_FAIL)
def test_each_expectation_of_the_interactions_fails_alone(name: str, change: dict[str, Any]) -> None:
    baseline = interaction_profile(rows=1200, users=80, sources=16)
    with pytest.raises(GateFailed) as caught:
        gate_1(interaction_profile(**{"rows": 1200, **change}), baseline)
    assert failed(caught) == [name]


LISTS_FAIL: list[tuple[str, dict[str, Any]]] = [
    ("schema", {"columns": ("user_id int64", "source_ids list<int64>", "scores list<double>", "personal bool")}),
    ("no_nulls", {"nulls": {"user_id": 0, "source_ids": 0, "scores": 1, "personal": 0}}),
    ("one_list_per_user", {"users": 999}),
    ("no_longer_than_n", {"too_long": 1}),
    ("no_duplicates", {"with_duplicates": 1}),
    ("finite_descending_scores", {"mismatched": 1}),
    ("finite_descending_scores", {"non_finite": 1}),
    ("finite_descending_scores", {"ascending": 1}),
    ("no_seen_source", {"excluded": {"seen": 1, "subscribed": 0, "blocked": 0, "owned": 0}}),
    ("no_subscribed_source", {"excluded": {"seen": 0, "subscribed": 1, "blocked": 0, "owned": 0}}),
    ("no_blocked_source", {"excluded": {"seen": 0, "subscribed": 0, "blocked": 1, "owned": 0}}),
    ("no_owned_source", {"excluded": {"seen": 0, "subscribed": 0, "blocked": 0, "owned": 1}}),
    ("no_owned_source", {"excluded": {"seen": 0, "subscribed": 0, "blocked": 0}}),  # not measured is not zero
    ("no_ineligible_source", {"ineligible": 1}),
    ("no_user_outside_share", {"outside_share": 1}),
    ("no_user_outside_share", {"outside_share": None}),  # not measured is not zero
    ("fallback_not_empty", {"fallback": fallback_profile(sources=0)}),
    ("fallback_eligible", {"fallback": fallback_profile(ineligible=1)}),
    ("fallback_no_duplicates", {"fallback": fallback_profile(duplicates=1)}),
    ("fallback_finite_descending_scores", {"fallback": fallback_profile(mismatched=1)}),
    ("fallback_finite_descending_scores", {"fallback": fallback_profile(non_finite=1)}),
    ("fallback_finite_descending_scores", {"fallback": fallback_profile(ascending=1)}),
    ("min_length_share", {"full": 499}),
    ("min_coverage_of_users", {"expected_users": 1056}),
    ("min_coverage_of_users", {"expected_users": 0}),
    ("min_coverage_of_catalogue", {"listed_sources": 2}),
    ("max_concentration", {"most_frequent": 761}),
    ("max_change_of_lists", {"lists": 2402, "users": 2402, "full": 2402}),
    ("max_change_of_lists", {"share_bp": 5000}),  # as many lists of half the audience
]


@pytest.mark.parametrize(("name", "change"), LISTS_FAIL)
def test_each_expectation_of_the_lists_fails_alone(name: str, change: dict[str, Any]) -> None:
    with pytest.raises(GateFailed) as caught:
        gate_2(list_profile(**change), list_profile(lists=1200))
    assert failed(caught) == [name]


FALLBACK = ["fallback_not_empty", "fallback_eligible", "fallback_no_duplicates", "fallback_finite_descending_scores"]


def test_a_fallback_list_that_was_not_measured_fails_but_may_be_missing_in_the_baseline() -> None:
    with pytest.raises(GateFailed) as caught:
        gate_2(list_profile(fallback=None), list_profile())
    assert failed(caught) == FALLBACK
    assert gate_2(list_profile(), list_profile(fallback=None)).passed


@pytest.mark.parametrize("name", FALLBACK)
def test_no_override_lifts_what_a_fallback_list_must_be(name: str) -> None:
    with pytest.raises(OverrideRefused, match="cannot be lifted"):
        gate_2(list_profile(), None, 1.4, **{name: "please"})


@pytest.mark.parametrize("ratio", [0.99, 0.0, float("nan")])
def test_lists_worse_than_the_popular_ones_fail(ratio: float) -> None:
    with pytest.raises(GateFailed) as caught:
        gate_2(list_profile(), list_profile(), quality_ratio=ratio)
    assert failed(caught) == ["min_quality_ratio"]


def test_clean_profiles_pass_every_expectation() -> None:
    for report in (gate_1(interaction_profile(), interaction_profile()), gate_2(list_profile(), list_profile())):
        assert report.passed
        assert {row.status for row in report.expectations} == {"ok"}


def test_every_limit_of_the_settings_is_an_expectation_of_its_name() -> None:
    reports = (gate_1(interaction_profile(), interaction_profile()), gate_2(list_profile(), list_profile()))
    for report, limits in zip(reports, (InteractionGate, ListGate), strict=True):
        assert {row.name for row in report.expectations if not row.protected} == set(limits.model_fields)


@pytest.mark.parametrize("limits", [InputGate, InteractionGate, ListGate])
def test_the_name_of_every_limit_says_on_which_side_it_is(limits: type[Strict]) -> None:
    assert all(name.startswith(("min_", "max_")) for name in limits.model_fields)


def test_the_first_run_skips_what_needs_a_baseline_and_says_so() -> None:
    report = gate_1(interaction_profile())
    skipped = {row.name: row.skipped for row in report.expectations if row.status == "skipped"}
    relative = ("max_change_of_rows", "max_change_of_mean", "max_change_of_quantiles", "max_divergence")
    assert skipped == dict.fromkeys(relative, "first run: no baseline")
    lists = gate_2(list_profile(), quality_ratio=None)
    skipped = {row.name: row.skipped for row in lists.expectations if row.skipped}
    assert skipped == {
        "max_change_of_lists": "first run: no baseline",
        "min_quality_ratio": "the recipe was not judged",
    }


def test_small_catalogues_are_not_asked_for_full_or_varied_lists() -> None:
    small = {"eligible_sources": 49, "listed_sources": 49, "full": 0, "most_frequent": 950}
    report = gate_2(list_profile(**small), list_profile())
    assert [row.name for row in report.expectations if row.skipped] == ["min_length_share", "max_concentration"]


def test_half_the_audience_with_half_the_lists_is_no_change() -> None:
    half = {"share_bp": 5000, "lists": 500, "users": 500, "personal": 480, "expected_users": 480, "full": 500}
    assert gate_2(list_profile(**half), list_profile()).passed


def test_an_override_lifts_the_named_failure_and_is_kept() -> None:
    report = gate_1(interaction_profile(max=500.0), None, max_weight="a bot, removed tomorrow", min_rows="in case")
    row = next(row for row in report.expectations if row.name == "max_weight")
    assert (report.passed, row.status, row.passed) == (True, "overridden", False)
    assert row.overridden == "a bot, removed tomorrow"
    assert report.unused_overrides == {"min_rows": "in case"}


def test_an_override_lifts_nothing_else() -> None:
    with pytest.raises(GateFailed) as caught:
        gate_1(interaction_profile(max=500.0, users=1), None, max_weight="known")
    assert failed(caught) == ["min_users"]


def test_the_schema_row_names_the_columns_that_differ() -> None:
    columns = ("user_id int64", "source_ids list<int64>", "scores list<double>", "personal bool")
    with pytest.raises(GateFailed, match=r"schema +2 \(not scores list<double>, but scores list<float>\)"):
        gate_2(list_profile(columns=columns))


def test_overrides_of_the_other_gate_are_its_own() -> None:
    assert gate_1(interaction_profile(), None, max_concentration="one big group").unused_overrides == {}


@pytest.mark.parametrize(
    ("name", "reason", "message"),
    [
        ("max_wieght", "typo", "did you mean max_weight"),
        ("no_seen_source", "please", "cannot be lifted"),
        ("schema", "please", "cannot be lifted"),
        ("max_weight", "  ", "reason is empty"),
    ],
)
def test_impossible_overrides_are_refused_before_anything_is_measured(name: str, reason: str, message: str) -> None:
    def measure() -> InteractionProfile:
        pytest.fail("measured")

    with pytest.raises(OverrideRefused, match=message) as caught:
        check_interactions(measure, SETTINGS, None, {name: reason}, ids="int64", as_of=AS_OF)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "error",
    [OSError("disk gone\nsecond line"), TimeoutError("of its own"), SystemExit(0)],
    ids=lambda e: type(e).__name__,
)
def test_a_measure_that_raises_fails_the_gate(error: BaseException) -> None:
    def measure() -> ListProfile:
        raise error

    with pytest.raises(GateFailed, match=f"{type(error).__name__}: {str(error)[:9]}") as caught:
        check_lists(measure, SETTINGS, None, {}, ids="int64", quality_ratio=None)
    assert [row.name for row in caught.value.report.failed] == ["measured_and_judged"]
    assert caught.value.report.profile is None
    assert caught.value.__cause__ is error


def test_a_measure_that_hangs_fails_the_gate_in_time() -> None:
    release = threading.Event()

    def measure() -> ListProfile:
        release.wait(600)
        return list_profile()

    settings = SETTINGS.model_copy(update={"time_limit_seconds": 1})
    begin = time.monotonic()
    with pytest.raises(GateFailed, match="no answer within 1 s") as caught:
        check_lists(measure, settings, None, {}, ids="int64", quality_ratio=None)
    assert time.monotonic() - begin < 300
    assert not caught.value.report.passed
    release.set()
