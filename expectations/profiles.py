"""Profiles: the measured numbers of one table that the gates judge, stored as JSON to compare the next run with.

Spark-free; `interaction_profile.py` and `list_profile.py` measure them. Numbers that do not exist (the mean of no rows)
are None, and every expectation on None fails.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from conf.base import Strict

QUANTILES = (0.1, 0.5, 0.9, 0.99)
"""Probabilities of the measured quantiles of the weight."""

FIRST_BIN, BINS = -12, 32
"""Bin k counts weights with floor(log2(weight)) = FIRST_BIN + k; the outermost bins take what lies beyond, so that no
positive weight is without a bin."""


class InteractionProfile(Strict):
    """The interactions of one run, over all rows. Counts are exact; quantiles have a rank error of at most 0.0001."""

    kind: Literal["interactions"] = "interactions"
    """Distinguishes profiles in JSON."""
    columns: tuple[str, ...]
    """Name and Arrow type of each column, in order."""
    rows: int
    """Interactions."""
    users: int
    """Distinct users."""
    sources: int
    """Distinct sources."""
    nulls: dict[str, int]
    """Column → rows in which it is null."""
    non_finite: int
    """Rows whose weight is NaN or infinite."""
    non_positive: int
    """Rows whose weight is 0 or less, although interactions have positive weights."""
    duplicates: int
    """Rows beyond the first of their (user, source)."""
    min: float | None
    """Smallest finite weight."""
    max: float | None
    """Largest finite weight."""
    mean: float | None
    """Mean of the finite weights."""
    quantiles: tuple[float, ...]
    """Quantiles of the finite weights at QUANTILES; empty if there are none."""
    histogram: tuple[int, ...] = Field(min_length=BINS, max_length=BINS)
    """Rows per bin of log2(weight), positive finite weights only."""
    first_ts: dt.datetime | None
    """Earliest `last_ts` of an interaction, UTC."""
    last_ts: dt.datetime | None
    """Latest `last_ts` of an interaction, UTC."""


@dataclass(frozen=True)
class FallbackList:
    """The list announced for users without a list of their own: sources best first, at most a few hundred."""

    source_ids: Sequence[int | str | None]
    """Ids as in the sources; a null is not eligible."""
    scores: Sequence[float]
    """One per source, descending."""


class FallbackProfile(Strict):
    """The fallback list of one run; counts are of its entries."""

    sources: int
    """Entries."""
    ineligible: int
    """Entries whose source is not eligible or not in the sources."""
    duplicates: int
    """Entries beyond the first of their source."""
    mismatched: int
    """Difference between the numbers of scores and of sources."""
    non_finite: int
    """Scores that are NaN or infinite."""
    ascending: int
    """Finite scores above the finite one before them."""


class ListProfile(Strict):
    """The lists of one run, over all rows. Counts are exact; a source that occurs twice in a list counts once, except
    in lengths."""

    kind: Literal["lists"] = "lists"
    """Distinguishes profiles in JSON."""
    columns: tuple[str, ...]
    """Name and Arrow type of each column, in order."""
    n: int
    """Largest number of sources in a list."""
    share_bp: int
    """Share of the audience that the run computed, in basis points."""
    lists: int
    """Rows."""
    personal: int
    """Lists from the user's own factors (`personal`); the others are the fallback list minus exclusions."""
    users: int
    """Distinct users with a list."""
    expected_users: int
    """Users who should have a personal list: with interactions, in the audience and in the share."""
    nulls: dict[str, int]
    """Column → rows in which it is null or, if an array, contains a null."""
    full: int
    """Lists with n sources."""
    too_long: int
    """Lists with more than n sources."""
    min_length: int | None
    """Sources in the shortest list."""
    mean_length: float | None
    """Mean number of sources per list."""
    with_duplicates: int
    """Lists with a source twice."""
    mismatched: int
    """Lists with more or fewer scores than sources."""
    non_finite: int
    """Lists with a NaN or infinite score."""
    ascending: int
    """Lists with a score above the one before it."""
    excluded: dict[str, int]
    """Reason of exclusion → list entries that the user's exclusions forbid for it."""
    ineligible: int
    """Entries whose source is not eligible or not in the sources."""
    eligible_sources: int
    """Sources that may be recommended."""
    listed_sources: int
    """Distinct eligible sources in the lists."""
    most_frequent: int
    """Personal lists that hold the most frequent source."""
    fallback: FallbackProfile | None = None
    """The fallback list; None in reports written before it was measured, so that every expectation fails."""
