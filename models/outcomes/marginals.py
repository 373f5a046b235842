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
from models.outcomes.rows import ANSWERED, DAY_US, EVENT, ROBOT, together

KEYS = ("day", "basis", "run", "arm", "by", "value")
LEFT_OUT = "left_out"
"""`by` of the rows that count what was left out; their value says why."""
_PLACE, _HIT, _HIT_OF_EVENT = "place", "hit", "hit_of_event"
_AMOUNTS = ("amount", "amount_listed")
_DELAY_MS = 2**31
"""More than the milliseconds of horizon and a day: one integer sorts by time and has the delay as its remainder."""
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
    counted = credited(together(answers, events, bases), settings)
    facts = _with_categories(_facts(counted, days), categories)
    return _totals(by_user(facts, settings), settings)


def by_user(facts: DataFrame, settings: OutcomeSettings) -> DataFrame:
    """Returns the figures of each user by KEYS, without another shuffle."""
    is_hit = sf.col("what").isin(_HIT, _HIT_OF_EVENT)
    of_event = (sf.col("what") == EVENT) & (sf.col("by") != LEFT_OUT)
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
            *(sf.count_if(is_hit & (sf.col("position") <= k)).alias(f"hits_{k}") for k in settings.at),
            sf.pmod(sf.min(sf.when(is_hit, sf.col("first_hit"))), sf.lit(_DELAY_MS)).alias("first_hit_ms"),
            sf.sum("events").alias("events"),
            sf.count_if(of_event & sf.col("listed")).alias("events_listed"),
            sf.count_if(of_event & sf.col("new")).alias("new"),
            sf.count_if(of_event & sf.col("new") & sf.col("listed")).alias("new_listed"),
            *(exact_sum(name).alias(name) for name in _AMOUNTS),
        )
    )


def _facts(counted: DataFrame, days: Collection[dt.date]) -> DataFrame:
    """Returns one row per thing that counts on one of the days: an answer, a place in it, an event, a hit."""
    first = sf.col("holder.day").cast("bigint") * DAY_US
    since_day, delay = sf.col("at") - first, sf.col("at") - sf.col("holder.at")
    first_hit = sf.floor(since_day / 1000) * _DELAY_MS + sf.floor(delay / 1000)
    size = sf.coalesce(sf.size("source_ids"), sf.lit(0)).cast("bigint")
    nothing, one = sf.lit(0).cast("bigint"), sf.lit(1).cast("bigint")

    def fact(what: str, of: str, source: Column, position: Column, **numbers: Column) -> Column:
        """Returns a fact about the answer in the struct `of`, or in the row itself."""
        names = ("day", "run", "arm", "surface")
        known = [sf.col(f"{of}.{name}" if of else name).alias(name) for name in names]
        if what == ROBOT:
            known = [known[0], *(sf.lit(None).cast("string").alias(name) for name in names[1:])]
        more = {"answers": nothing, "places": nothing, "events": nothing, "first_hit": nothing, **numbers}
        return sf.struct(
            sf.lit(what).alias("what"),
            *known,
            source.alias("source_id"),
            position.cast("int").alias("position"),
            *(value.cast("bigint").alias(name) for name, value in more.items()),
        )

    nowhere, no_source = sf.lit(None), sf.lit(None).cast(counted.schema["source_id"].dataType)
    source, is_event = sf.col("source_id"), sf.col("role") == EVENT
    answer = fact(ANSWERED, "", no_source, nowhere, answers=one, places=size)
    places = sf.transform(
        sf.coalesce("source_ids", sf.array().cast(counted.schema["source_ids"].dataType)),
        lambda held, place: fact(_PLACE, "", held, sf.col("first") + place, places=one),
    )
    was_asked = sf.col("source_ids").isNotNull()
    robot = fact(ROBOT, "", no_source, nowhere, answers=was_asked.cast("bigint"), events=(~was_asked).cast("bigint"))
    found = (
        sf.when(sf.col("role") == ANSWERED, sf.concat(sf.array(answer), places))
        .when(sf.col("role") == ROBOT, sf.array(robot))
        .otherwise(
            sf.array_compact(
                sf.array(
                    sf.when(is_event & sf.col("owner").isNotNull(), fact(EVENT, "owner", source, nowhere, events=one)),
                    *(
                        sf.when(
                            sf.col(what), fact(what, "holder", source, sf.col("holder.position"), first_hit=first_hit)
                        )
                        for what in (_HIT, _HIT_OF_EVENT)
                    ),
                )
            )
        )
    )
    listed = sf.col("holder").isNotNull().alias("listed")
    kept = counted.select(
        "user_id", "basis", "event", "engages", "amount", "new", listed, sf.explode(found).alias("fact")
    )
    numbers = [(day - dt.date(1970, 1, 1)).days for day in sorted(days)]
    return kept.where(sf.col("fact.day").isin(*numbers)).select("*", "fact.*").drop("fact")


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
        .when(what == _PLACE, kinds(*category, position))
        .when(what == EVENT, kinds(*engaged, event))
        .when(what == _HIT, kinds(kind("all"), *category, position, surface))
        .when(what == _HIT_OF_EVENT, kinds(event))
        .otherwise(kinds(kind(LEFT_OUT, sf.lit("robots"))))
    )


def _totals(users: DataFrame, settings: OutcomeSettings) -> DataFrame:
    delay, limits = sf.col("first_hit_ms"), [1000 * end for end in contract.HIT_WITHIN_SECONDS]
    ends = [*zip([0, *limits], limits, strict=False)]
    classes = [(delay >= low) & (delay < high) for low, high in ends] + [delay >= limits[-1]]
    sums = ("answers", "places", "hits", "events", "events_listed", "new", "new_listed")
    summed = users.groupBy(*KEYS).agg(
        sf.count_if((sf.col("answers") > 0) | (sf.col("by") == LEFT_OUT)).alias("users"),
        *(sf.sum(name).alias(name) for name in sums),
        sf.array(*(sf.sum(f"hits_{k}") for k in settings.at)).alias("hits_at"),
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
