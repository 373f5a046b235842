"""A recipe: what is part of it, and what today's settings make of an older one."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from conf.recipe import Recipe, RecipeGone, completed
from conf.settings import Settings
from tests.conf.fields import TREE, Path, changed, fields_of
from tests.features.world import settings

WEIGHTS = st.dictionaries(st.sampled_from(["like", "share", "leave", "click"]), st.sampled_from([-4.0, 0.0, 1.0, 2.0]))
IGNORED = st.lists(st.sampled_from(["like", "share", "seen"]), unique=True)
RECIPES = st.builds(
    lambda weights, half_life, days, factors, weight: product(
        interactions={"event_weights": {"join": 5.0, **weights}, "half_life_days": half_life},
        train={"factors": factors},
        clicks={"window": f"{days} days ago:today", "columns": {"weight": weight}},
    ),
    WEIGHTS,
    st.floats(0.1, 100),
    st.integers(1, 30),
    st.integers(1, 256),
    st.sampled_from([None, "quantity", "seconds"]),
)
PRODUCT = Settings.model_validate(TREE)
RECIPE: dict[str, Any] = {
    "ids": "string",
    "datasets.events.*.window": "9 days ago:today",
    "datasets.events.*.ignore_events": ["like"],
    "datasets.events.*.columns.user_id": "reader",
    "datasets.events.*.columns.source_id": "group",
    "datasets.events.*.columns.event": "kind",
    "datasets.events.*.columns.ts": "time",
    "datasets.events.*.columns.weight": "quantity",
    "interactions.event_weights.*": 2.0,
    "interactions.half_life_days": 3.0,
    "train.algorithm": "auto",
    "train.factors": 64,
    "train.iterations": 6,
    "train.warm_iterations": 3,
    "train.cold_every": 5,
    "train.regularization": 0.6,
    "train.alpha": 0.6,
    "train.source_damping": 0.3,
    "train.user_damping": 0.3,
    "train.seed": 8,
}
"""Every field that decides the interactions or what training makes of them, with another value."""
REST: dict[str, Any] = {
    # what the product is called, when it runs
    "product": "other",
    "schedule": None,
    "dag.*": 3,
    # where the data lie and how dirty they are: today's for every recipe, since older files are read by them as well
    "data_root": "s3://bucket/data",
    "datasets.events.*.path": "elsewhere",
    "datasets.events.*.success_marker": None,
    "datasets.events.*.on_missing": "shrink",
    "datasets.events.*.max_missing_days": 2,
    "datasets.events.*.day_of": "ingestion",
    "datasets.events.*.lateness_days": 2,
    "datasets.events.*.bad_row_budget": 0.1,
    # what a list must not hold
    **{
        f"datasets.{name}.{field}": value
        for name in ("subscriptions", "sources", "blocks", "audience")
        for field, value in (("path", "other"), ("success_marker", None), ("max_age_days", 9), ("columns.*", "other"))
    },
    # what was shown
    "datasets.impressions.path": "other",
    "datasets.impressions.success_marker": None,
    "datasets.impressions.on_missing": "shrink",
    "datasets.impressions.max_missing_days": 2,
    "datasets.impressions.day_of": "ingestion",
    "datasets.impressions.lateness_days": 2,
    "datasets.impressions.bad_row_budget": 0.1,
    **{f"datasets.impressions.columns.{name}": "other" for name in ("user_id", "source_id", "ts")},
    **{f"datasets.impressions.columns.{name}": "other" for name in ("position", "run", "surface")},
    "interactions.exclude_seen": False,
    # the exam, which is today's for every recipe
    "split.holdout_days": 3,
    "split.min_users": 51,
    "judge.k": 21,
    "judge.heavy_from": 11,
    "judge.new_source_days": 8,
    "judge.tolerance": 0.03,
    "judge.replicates": 201,
    "judge.seed": 8,
    "judge.knn_neighbours": 101,
    "judge.knn_products": 20_000,
    # the machine
    "train.threads": 3,
    "train.max_memory": 2**30,
    "spark.shuffle_partitions": 9,
    "spark.user_block": 4097,
    # the lists, what must hold of them, who gets them and how
    "lists.n": 49,
    "lists.fallback_size": 201,
    "lists.max_per_category": 5,
    "lists.max_per_owner": 5,
    "lists.min_score": 0.1,
    "gates.time_limit_seconds": 1801,
    "gates.inputs.max_change_of_subscriptions": 0.5,
    "gates.inputs.max_change_of_sources": 0.5,
    "gates.inputs.max_change_of_eligible_share": 0.5,
    "gates.inputs.max_change_of_blocks": 0.5,
    "gates.inputs.max_change_of_audience": 0.5,
    "gates.inputs.max_change_of_new_days": 0.5,
    "gates.interactions.min_rows": 2,
    "gates.interactions.min_users": 2,
    "gates.interactions.min_sources": 2,
    "gates.interactions.max_change_of_rows": 0.6,
    "gates.interactions.max_weight": 1e5,
    "gates.interactions.max_change_of_mean": 0.6,
    "gates.interactions.max_change_of_quantiles": 0.6,
    "gates.interactions.max_divergence": 0.2,
    "gates.lists.min_length_share": 0.6,
    "gates.lists.min_coverage_of_users": 0.8,
    "gates.lists.min_coverage_of_catalogue": 0.02,
    "gates.lists.max_concentration": 0.7,
    "gates.lists.max_change_of_lists": 0.6,
    "gates.lists.min_quality_ratio": 1.1,
    "gates.false_alarms_per_year": 2.0,
    "gates.drift.*": "warn",
    "gates.known_days": ["2026-12-25"],
    "rollout.share": 0.5,
    "rollout.salt": "discovery-2",
    "rollout.control": "popular",
    "rollout.ramp.steps": [2, 10],
    "rollout.ramp.guardrails.*.margin": 0.03,
    "rollout.ramp.guardrails.*.better": "less",
    "rollout.ramp.approve": "auto",
    "rollout.max_manual_share": 0.5,
    "rollout.max_change_of_users": 0.6,
    "publish.partitions": 9,
    "publish.replication": 2,
    "publish.users_per_bucket": 101,
    "publish.scores": False,
    "publish.retention_hours": 841,
    "publish.load_deadline_seconds": 3601,
    "publish.stall_seconds": 901,
    "publish.delivery_timeout_seconds": 121,
    "publish.redis_replicas": 1,
    "publish.redis_maxmemory": 2**30,
    "publish.redis_policy": "noeviction",
    "runs.keep_runs": 5,
    "runs.partials_keep_days": 61,
    # who is told
    "alerts.webhook": "https://host/path",
    "alerts.command": ["pager"],
    "alerts.timeout_seconds": 31,
    # what is kept of answers
    "exposures.enabled": True,
    "exposures.queue": 9_999,
    "exposures.delivery_timeout_seconds": 29,
    "exposures.retention_hours": 167,
    "exposures.keep_days": 91,
    "exposures.purge": "never",
    "outcomes.at": [1, 3],
    "outcomes.horizon_days": 6,
    "outcomes.keep_current_days": 27,
    "outcomes.new_days": 29,
    "outcomes.robots.max_events_per_day": 999,
    "outcomes.shadow_share": 0.05,
    "experiment.metrics": ["hits"],
    "experiment.weeks": 4,
    "experiment.cuped": False,
    # bounds of the look-up service
    "serve.redis_timeout_seconds": 2.0,
    "serve.max_in_flight": 511,
    "serve.max_requests_per_second": 5_000,
    "serve.max_connections": 999,
    "serve.max_head_bytes": 2**14,
    "serve.max_body_bytes": 2**19,
    "serve.max_exclude": 999,
    "serve.max_users": 99,
    "serve.keep_alive_seconds": 74,
    "serve.drain_delay_seconds": 2.0,
    "serve.drain_seconds": 19.0,
}
"""Every other field, with another value."""


def product(clicks: dict[str, Any] | None = None, **changes: Any) -> Settings:
    """A product that reads `clicks`, with changes of that dataset and others."""
    tree = settings().model_dump(mode="json") | changes
    tree["datasets"]["events"]["clicks"] |= clicks or {}
    return Settings.model_validate(tree)


def path_of(name: str) -> Path:
    return tuple(name.split("."))


def test_every_field_is_part_of_it_or_not() -> None:
    """A new field stands in one of both tables."""
    assert sorted(".".join(path) for path, _ in fields_of()) == sorted([*RECIPE, *REST])


@pytest.mark.parametrize("name", RECIPE)
def test_what_decides_the_interactions_or_their_training_is_part_of_it(name: str) -> None:
    other = changed(path_of(name), RECIPE[name])
    assert other != PRODUCT
    recipe = Recipe.model_validate(Recipe.of(other).to_json())
    assert recipe != Recipe.of(PRODUCT)
    if name == "ids":
        with pytest.raises(RecipeGone, match="of string ids, and the settings say int64"):
            recipe.applied_to(PRODUCT)
    else:
        assert recipe.applied_to(PRODUCT) == other


@pytest.mark.parametrize("name", REST)
def test_all_else_is_that_of_today(name: str) -> None:
    other = changed(path_of(name), REST[name])
    assert other != PRODUCT
    assert Recipe.of(other) == Recipe.of(PRODUCT)
    assert Recipe.of(PRODUCT).applied_to(other) == other


@given(now=RECIPES, then=RECIPES)
def test_settings_with_an_older_recipe_have_it_and_are_todays_for_the_rest(now: Settings, then: Settings) -> None:
    recipe = Recipe.model_validate(Recipe.of(then).to_json())
    both = recipe.applied_to(now)
    assert Recipe.of(both) == recipe == Recipe.of(then)
    assert both.interactions.event_weights.keys() >= now.interactions.event_weights.keys()  # none is unknown to it
    rest = {"datasets", "interactions", "train"}
    assert both.model_dump(exclude=rest) == now.model_dump(exclude=rest)
    assert Settings.model_validate(both.model_dump(mode="json")) == both


def test_events_that_weigh_nothing_are_not_part_of_it_wherever_they_are_ignored() -> None:
    ignoring = changed(path_of("datasets.events.*.ignore_events"), ["glance", "unheard"])
    assert Recipe.of(ignoring) == Recipe.of(PRODUCT)
    assert Recipe.of(product()).event_weights == {"like": 1.0, "leave": -4.0}


@given(now=IGNORED, then=IGNORED)
def test_an_event_that_is_ignored_now_cannot_be_weighed(now: list[str], then: list[str]) -> None:
    """What was ignored then and is read now is ignored for the older recipe."""
    recipe = Recipe.of(product({"ignore_events": then}, interactions={"event_weights": {"like": 1.0, "share": 2.0}}))
    today = product({"ignore_events": now}, interactions={"event_weights": {"like": 1.0, "share": 2.0}})
    if lost := sorted({*now} - {*then, "seen"}):
        with pytest.raises(RecipeGone, match=f"'{lost[0]}', which has a weight in it"):
            recipe.applied_to(today)
    else:
        ignored = recipe.applied_to(today).datasets.events["clicks"].ignore_events
        assert {*ignored} == {*now, *then} - ({"seen"} - {*now})


def test_a_dataset_that_is_gone_cannot_be_made() -> None:
    recipe = Recipe.of(product())
    with pytest.raises(RecipeGone, match="'clicks' is not in the settings any more"):
        recipe.applied_to(settings(events={"views": {"path": "views"}}))


def test_a_dataset_that_is_new_is_left_out() -> None:
    events = {"clicks": {"path": "c"}, "views": {"path": "views"}}
    assert Recipe.of(product()).applied_to(settings(events=events)).datasets.events.keys() == {"clicks"}


@given(RECIPES, IGNORED)
def test_a_recipe_of_older_code_is_completed_by_the_settings_it_was_used_with(
    then: Settings, ignored: list[str]
) -> None:
    clicks = then.datasets.events["clicks"].model_copy(update={"ignore_events": tuple(ignored)})
    then = then.model_copy(update={"datasets": then.datasets.model_copy(update={"events": {"clicks": clicks}})})
    whole = Recipe.of(then)
    old = {name: value for name, value in whole.to_json().items() if name not in ("ids", "columns", "ignored")}
    assert Recipe.model_validate(completed(old, then.model_dump(mode="json"))) == whole
    assert completed(whole.to_json(), settings().model_dump(mode="json")) == whole.to_json()  # what is told stays


def test_a_recipe_of_a_dataset_without_columns_is_none() -> None:
    with pytest.raises(ValidationError, match="columns must be of the datasets"):
        Recipe.model_validate(Recipe.of(product()).to_json() | {"columns": {}})
