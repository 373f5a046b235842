"""Answers to users of the control as if they had held the shadow list of the run that the treatment got at that time.

They are a world of their own beside what was answered: no hit of the control is taken from it. In that world, whatever
else was answered to the same users takes over as it does outside of it, and is left out of its figures.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf

from conf.shadow import SHADOW, ShadowSample
from features.tables import union_of
from models.lists.shadow import is_sampled
from models.outcomes.basis import Basis
from models.outcomes.rows import Served, answers_of

_WORLD = f"{SHADOW} of "


@dataclass(frozen=True, eq=False)
class ShadowLists:
    """The shadow lists of one run."""

    sample: ShadowSample
    lists: DataFrame
    """user_id, source_ids; of the sample those with lists of their own."""
    fallback: Sequence[Any]
    """What the others would get."""


def world_of(basis: Basis) -> str:
    """Returns the basis of answers with shadow lists while they are joined with events."""
    return f"{_WORLD}{basis}"


def without_worlds(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns rows of `contract.outcomes`, those about shadow lists with their basis; others of their world go."""
    kept = (row for row in rows if not row["basis"].startswith(_WORLD) or row["arm"] == SHADOW)
    return [{**row, "basis": row["basis"].removeprefix(_WORLD)} for row in kept]


def treatment_of(served: Sequence[Served]) -> Column:
    """Returns the run that the treatment got at `ts`; null: none, or the treatment had no users."""
    run = sf.lit(None).cast("string")
    for period in served:
        is_in = sf.col("ts") >= sf.lit(period.since)
        if period.until is not None:
            is_in &= sf.col("ts") < sf.lit(period.until)
        run = sf.when(is_in, sf.lit(period.treatment if period.share_bp else None)).otherwise(run)
    return run


def lengths_of(exposures: DataFrame) -> dict[tuple[str, str], int]:
    """Returns run and surface → places of its median answer to the treatment: apps may ask for fewer than there are."""
    some = exposures.where((sf.col("arm") == "treatment") & sf.col("run").isNotNull())
    counted = some.groupBy("run", "surface", sf.size("source_ids").alias("places")).count().collect()
    found: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for row in counted:
        found.setdefault((row["run"], row["surface"]), []).append((row["places"], row["count"]))
    return {key: _median(sizes) for key, sizes in found.items()}


def shadow_answers(
    exposures: DataFrame,
    served: Sequence[Served],
    shadows: Mapping[str, ShadowLists],
    lengths: Mapping[tuple[str, str], int],
) -> DataFrame:
    """Returns answers (`models.outcomes.rows`) of users with shadow lists in the world of these.

    exposures: `contract.exposures`; shadows: run → its lists, of one run at least; lengths: by `lengths_of`; lists of
    runs and surfaces that are not in it are not cut.
    """
    samples = {shadow.sample for shadow in shadows.values()}
    user = sf.col("user_id")
    in_some = _any(is_sampled(sample, user) for sample in samples)
    asked = exposures.where(in_some).withColumn("then", treatment_of(served))
    has_shadow = _any(
        sf.col("then").isin(*(run for run, shadow in shadows.items() if shadow.sample == sample))
        & is_sampled(sample, user)
        for sample in samples
    )
    is_shadow = sf.coalesce((sf.col("arm") == "control") & has_shadow, sf.lit(col=False))
    kept = union_of([shadow.lists.select("user_id", sf.lit(run).alias("then"), sf.col("source_ids").alias("held"))
                     for run, shadow in shadows.items()])  # fmt: skip
    joined = asked.withColumn("is_shadow", is_shadow).join(kept, ["user_id", "then"], "left")
    kind = exposures.schema["source_ids"].dataType
    held = sf.coalesce("held", _by_run({run: list(shadow.fallback) for run, shadow in shadows.items()}).cast(kind))
    cut = sf.slice(held, sf.lit(1), _by_key(lengths, sf.size(held)))
    instead = {"run": sf.col("then"), "arm": sf.lit(SHADOW), "source_ids": cut}
    changed = joined.withColumns(
        {name: sf.when(sf.col("is_shadow"), value).otherwise(sf.col(name)) for name, value in instead.items()}
    )
    return answers_of(changed).withColumn("basis", sf.lit(world_of(Basis.ANSWERED)))


def _any(conditions: Iterable[Column]) -> Column:
    found = sf.lit(col=False)
    for condition in conditions:
        found |= condition
    return found


def _by_run(values: Mapping[str, list[Any]]) -> Column:
    found = sf.lit(None)
    for run, value in values.items():
        found = sf.when(sf.col("then") == run, sf.array(*map(sf.lit, value))).otherwise(found)
    return found


def _by_key(lengths: Mapping[tuple[str, str], int], default: Column) -> Column:
    found = default
    for (run, surface), places in sorted(lengths.items()):
        found = sf.when((sf.col("then") == run) & (sf.col("surface") == surface), sf.lit(places)).otherwise(found)
    return found


def _median(sizes: list[tuple[int, int]]) -> int:
    """Returns the least size that half of them do not exceed; sizes: (size, how many)."""
    half, passed = sum(count for _, count in sizes) / 2, 0
    for size, count in sorted(sizes):
        passed += count
        if passed >= half:
            return size
    return 0
