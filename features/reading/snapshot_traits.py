"""What drift compares of a snapshot besides its counts: hashes of a few rows, and the mix of the sources."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf

from features.eligibility import ACTIVE
from features.hash_columns import MAX_HASH, hash_column, hash_limit

_EXPECTED = 2048
"""Hashes that are kept of a snapshot with more rows."""
_HASHED = ("user_id", "source_id", "status", "category", "owner_id")
"""Columns of a row's hash, as far as a snapshot has them."""


@dataclass(frozen=True)
class Traits:
    """Traits of a partition without erased users; None where it lacks the column."""

    hashes: Sequence[int] = ()
    """The different hashes of its rows up to `hashed_to`, smallest first."""
    hashed_to: int = MAX_HASH
    inactive: int | None = None
    """Sources that are not active."""
    without_category: int | None = None
    without_owner: int | None = None
    largest_category: int | None = None
    """Sources of the largest category; 0 if none has one."""


def trait_columns(rows: DataFrame, count: int) -> list[Column]:
    """Returns the aggregates of `traits_of`; `count`: rows by the footers."""
    hashed = [sf.col(name) for name in _HASHED if name in rows.columns]
    hash_, kept = hash_column(*hashed), ~sf.col("erased")
    low = sf.when(kept & (hash_ <= hash_limit(_EXPECTED / max(count, 1))), hash_)
    columns = [sf.sort_array(sf.collect_set(low)).alias("hashes")]
    if "status" in rows.columns:
        inactive = sf.coalesce(sf.col("status").cast("string") != ACTIVE, sf.lit(col=True))
        columns.append(sf.count_if(inactive).alias("inactive"))
    if "category" in rows.columns:
        columns.append(sf.count_if(sf.col("category").isNull()).alias("without_category"))
        largest = sf.call_function("approx_top_k", sf.col("category"), sf.lit(2))  # exact up to 7,500 categories
        columns.append(largest.alias("largest_category"))
    if "owner_id" in rows.columns:
        columns.append(sf.count_if(sf.col("owner_id").isNull()).alias("without_owner"))
    return columns


def traits_of(counts: dict[str, Any], count: int) -> Traits:
    """Returns the traits, taken out of the row of aggregates."""
    found = {name: counts.pop(name) for name in Traits.__dataclass_fields__ if name in counts}
    if "largest_category" in found:
        found["largest_category"] = _largest(found["largest_category"])
    return Traits(hashed_to=hash_limit(_EXPECTED / max(count, 1)), **found)


def _largest(top: Sequence[Mapping[str, Any]]) -> int:
    """Returns the count of the first that is not null."""
    return next((one["count"] for one in top if one.get("item") is not None), 0)
