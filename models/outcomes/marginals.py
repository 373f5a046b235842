"""What users did with their lists, as `contract.outcomes`: what counts for what, summed by bucket of users, then over
all of them.
"""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence

import pyarrow as pa
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as sf

from conf import contract
from conf.outcomes import OutcomeSettings
from features.exact_sum import PARTS, sum_of_parts
from features.tables import conform
from models.outcomes.buckets import by_bucket
from models.outcomes.columns import Texts, bucket_of, day_number
from models.outcomes.rows import ANSWERED, DAY_US, EVENT
from models.outcomes.sums import (
    AMOUNTS,
    GROUP,
    KEYS,
    LARGEST,
    LEFT_OUT,
    SWAP,
    Categories,
    counts_of,
    schema_of,
    sums_of,
)

_GROUPED = ("users", "answers", "hits")
_OWN = {  # by → figures that its rows have of their own; the others are null, or those of run and arm
    "all": "users answers places hits users_hit events new",
    "surface": "users answers places hits users_hit events new",
    "event": "hits users_hit events amount new",
    "category": "places hits users_hit events new",
    "position": "answers places hits users_hit",
    LEFT_OUT: "users answers events",
    GROUP: "users answers hits",
    SWAP: "hits",
}


def outcomes_of(
    answers: DataFrame,
    events: DataFrame,
    bases: Sequence[str],
    days: Collection[dt.date],
    settings: OutcomeSettings,
    categories: DataFrame | None = None,
    *,
    buckets: int = 8,
) -> DataFrame:
    """Returns `contract.outcomes` of answers on these days, and rows `by` LEFT_OUT; not sorted.

    answers, events: by `models.outcomes.rows`; answers of the horizon before and after the days too, since older ones
    list events and later ones take over; events from `new_days` before the days. categories: source_id, category, one
    row per source; None: not known. buckets: into how many parts users are divided; a worker holds one at a time.
    """
    numbers, names = sorted(day_number(day) for day in days), [str(basis) for basis in bases]
    known = None if categories is None else known_categories(categories)

    def work(tables: Mapping[str, pa.Table]) -> pa.Table:
        bucket = bucket_of(tables, names, settings, None if known is None else known[0])
        return sums_of(bucket, numbers, settings, known)

    # of older events it only matters when and for what they were, unless they are hits of a week before
    is_owned = sf.col("at") >= sf.lit((numbers[0] - settings.horizon_days) * DAY_US)
    done = events.withColumns({name: sf.when(is_owned, sf.col(name)) for name in ("event", "amount")})
    sums = by_bucket({ANSWERED: answers, EVENT: done}, buckets, work, schema_of(settings))
    return conform(_completed(_totals(sums, settings)), contract.outcomes())


def known_categories(categories: DataFrame) -> Categories:
    """Returns categories (source_id, category) on this machine, for workers to look up."""
    table = categories.select("source_id", sf.col("category").cast("string")).toArrow()
    return table["source_id"].combine_chunks(), Texts.of(table["category"])


def _totals(sums: DataFrame, settings: OutcomeSettings) -> DataFrame:
    """Returns the sums over buckets."""
    total = {name: sf.coalesce(sf.sum(name), sf.lit(0)) for name in counts_of(settings)}
    within = [total.pop(f"within_{i}") for i in range(len(contract.HIT_WITHIN_SECONDS) + 1)]
    at = [total.pop(f"hits_{k}") for k in settings.at]
    placed = total.pop("placed")
    amounts = {
        name: sum_of_parts([sf.sum(f"{name}_{part}") for part in PARTS], sf.max(f"{name}_{LARGEST}"))
        for name in AMOUNTS
    }
    return sums.groupBy(*KEYS).agg(
        *(total[name].alias(name) for name in total),
        sf.when(placed == total["hits"], sf.array(*at)).alias("hits_at"),  # else nobody knows
        sf.array(*within).alias("first_hits"),
        *(amounts[name].alias(name) for name in AMOUNTS),
    )


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
    columns |= _groups(sf.collect_list(sf.when(by == GROUP, sf.struct("value", *_GROUPED))).over(arm))
    kept = summed.withColumns(columns).where(by != GROUP)
    return kept.withColumn("day", sf.date_from_unix_date("day"))


def _groups(of_groups: Column) -> dict[str, Column]:
    """Returns the columns of rows `by` all about groups of users; of_groups: structs of value and _GROUPED."""
    is_all = sf.col("by") == "all"
    return {f"group_{name}": sf.when(is_all, _by_group(of_groups, name)) for name in _GROUPED}


def _by_group(of_groups: Column, name: str) -> Column:
    """Returns a figure of each group, 0 where there is none."""
    known = sf.map_from_entries(sf.transform(of_groups, lambda one: sf.struct(one["value"], one[name])))
    groups = sf.array(*(sf.lit(str(group)) for group in range(contract.USER_GROUPS)))
    return sf.transform(groups, lambda group: sf.coalesce(sf.try_element_at(known, group), sf.lit(0)))
