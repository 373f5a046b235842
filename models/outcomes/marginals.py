"""What users did with their lists, as `contract.outcomes`: what counts for what, summed by user, then over users."""

import datetime as dt
from collections.abc import Collection, Sequence

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as sf

from conf import contract
from conf.outcomes import OutcomeSettings
from features.exact_sum import exact_sum
from features.tables import conform
from models.outcomes.basis import Basis
from models.outcomes.credit import credited
from models.outcomes.facts import DELAY_MS, HIT, HIT_OF_EVENT, PLACE, facts_of
from models.outcomes.rows import ANSWERED, EVENT, together

KEYS = ("day", "basis", "run", "arm", "by", "value")
LEFT_OUT = "left_out"
"""`by` of the rows that count what was left out; their value says why."""
_EPOCH = dt.date(1970, 1, 1)
_AMOUNTS = ("amount", "amount_listed")
_OWN = {  # by → figures that its rows have of their own; the others are null, or those of run and arm
    "all": "users answers places hits users_hit events new",
    "surface": "users answers places hits users_hit events new",
    "event": "hits users_hit events amount new",
    "category": "places hits users_hit events new",
    "position": "answers places hits users_hit",
    LEFT_OUT: "users answers events",
}


def outcomes_of(
    answers: DataFrame,
    events: DataFrame,
    bases: Sequence[Basis],
    days: Collection[dt.date],
    settings: OutcomeSettings,
    categories: DataFrame | None = None,
) -> DataFrame:
    """Returns `contract.outcomes` of answers on these days, and rows `by` LEFT_OUT; not sorted.

    answers, events: by `models.outcomes.rows`; answers of the horizon after the days too, since later answers take
    over; events from `new_days` before them. categories: source_id, category, one row per source; None: not known.
    """
    numbers = [(day - _EPOCH).days for day in days]
    counted = credited(together(answers, events, bases), numbers, settings)
    facts = _with_categories(facts_of(counted, numbers), categories)
    return _totals(by_user(facts, settings), settings)


def by_user(facts: DataFrame, settings: OutcomeSettings) -> DataFrame:
    """Returns the figures of each user by KEYS, without another shuffle."""
    is_hit = sf.col("what").isin(HIT, HIT_OF_EVENT)
    of_event = sf.col("what") == EVENT
    by_event = of_event & (sf.col("by") == "event")
    terms = {
        "amount": sf.when(by_event, sf.col("amount")),
        "amount_listed": sf.when(by_event & sf.col("listed"), sf.col("amount")),
    }
    return (
        facts.withColumn("kind", sf.explode(_kinds(facts)))
        .select("*", "kind.*")
        .withColumns(terms)
        .groupBy("user_id", *KEYS)
        .agg(
            sf.sum("answers").alias("answers"),
            sf.sum("places").alias("places"),
            sf.count_if(is_hit).alias("hits"),
            sf.count_if(is_hit & sf.col("position").isNotNull()).alias("placed"),
            *(sf.count_if(is_hit & (sf.col("position") <= k)).alias(f"hits_{k}") for k in settings.at),
            sf.pmod(sf.min(sf.when(is_hit, sf.col("first_hit"))), sf.lit(DELAY_MS)).alias("first_hit_ms"),
            sf.sum("events").alias("events"),
            sf.count_if(of_event & sf.col("listed")).alias("events_listed"),
            sf.count_if(of_event & sf.col("new")).alias("new"),
            sf.count_if(of_event & sf.col("new") & sf.col("listed")).alias("new_listed"),
            *(exact_sum(name).alias(name) for name in _AMOUNTS),
        )
    )


def _with_categories(facts: DataFrame, categories: DataFrame | None) -> DataFrame:
    if categories is None:
        return facts
    known = categories.select("source_id", sf.col("category").cast("string").alias("category"))
    return facts.join(sf.broadcast(known), "source_id", "left")


def _kinds(facts: DataFrame) -> Column:
    """Returns of which rows of the result a fact is part: structs (by, value)."""

    def kind(by: str, value: Column | None = None, condition: Column | None = None) -> Column:
        known = sf.struct(
            sf.lit(by).alias("by"), (sf.lit(None) if value is None else value).cast("string").alias("value")
        )
        return known if condition is None else sf.when(condition, known)

    def kinds(*some: Column) -> Column:
        return sf.array_compact(sf.array(*some))

    engages, what = sf.col("engages"), sf.col("what")
    surface, position = kind("surface", sf.col("surface")), kind("position", sf.col("position"))
    category = [kind("category", sf.col("category"))] if "category" in facts.columns else []
    engaged = [kind("all", condition=engages), kind("surface", sf.col("surface"), engages)]
    engaged += [kind("category", sf.col("category"), engages)] if category else []
    event = kind("event", sf.col("event"))
    return (
        sf.when(what == ANSWERED, kinds(kind("all"), surface))
        .when(what == PLACE, kinds(*category, position))
        .when(what == EVENT, kinds(*engaged, event))
        .when(what == HIT, kinds(kind("all"), *category, position, surface))
        .when(what == HIT_OF_EVENT, kinds(event))
        .otherwise(kinds(kind(LEFT_OUT, sf.lit("robots"))))
    )


def _totals(users: DataFrame, settings: OutcomeSettings) -> DataFrame:
    delay, limits = sf.col("first_hit_ms"), [1000 * end for end in contract.HIT_WITHIN_SECONDS]
    ends = [*zip([0, *limits], limits, strict=False)]
    classes = [(delay >= low) & (delay < high) for low, high in ends] + [delay >= limits[-1]]
    places = sf.array(*(sf.sum(f"hits_{k}") for k in settings.at))
    sums = ("answers", "places", "hits", "events", "events_listed", "new", "new_listed")
    summed = users.groupBy(*KEYS).agg(
        sf.count_if((sf.col("answers") > 0) | (sf.col("by") == LEFT_OUT)).alias("users"),
        *(sf.sum(name).alias(name) for name in sums),
        sf.when(sf.sum("placed") == sf.sum("hits"), places).alias("hits_at"),  # else nobody knows
        sf.count("first_hit_ms").alias("users_hit"),
        sf.coalesce(sf.sum("first_hit_ms"), sf.lit(0)).alias("first_hit_ms"),
        sf.array(*(sf.count_if(one) for one in classes)).alias("first_hits"),
        *(exact_sum(name).alias(name) for name in _AMOUNTS),
    )
    return conform(_completed(summed), contract.outcomes())


def _completed(summed: DataFrame) -> DataFrame:
    """Returns the rows with those figures only that are defined for them, and with the users that rates rest on."""
    arm = Window.partitionBy("day", "basis", "run", "arm")
    parts = {"hits": "hits_at", "users_hit": "first_hit_ms first_hits", "events": "events_listed"}
    parts |= {"new": "new_listed", "amount": "amount_listed"}
    by, columns = sf.col("by"), {}
    for name in ("users", "answers", "places", "hits", "users_hit", "events", "new", "amount"):
        has = by.isin(*(kind for kind, own in _OWN.items() if name in own.split()))
        figure = sf.col(name)
        if name == "answers":
            figure = sf.when(by == "position", sf.col("places")).otherwise(figure)
        rest = sf.lit(None)
        if name in ("users", "answers", "places"):
            rest = sf.when(by != LEFT_OUT, sf.max(sf.when(by == "all", sf.col(name))).over(arm))
        columns[name] = sf.when(has, figure).otherwise(rest)
        columns |= {part: sf.when(has, sf.col(part)) for part in parts.get(name, "").split()}
    return summed.withColumns(columns).withColumn("day", sf.date_from_unix_date("day"))
