"""Profiles by hand and by numpy, so that the gate's logic is tested without Spark."""

import datetime as dt
from typing import Any

import numpy as np
import numpy.typing as npt

from conf import contract
from expectations.checks import describe
from expectations.interactions import BINS, FIRST_BIN, QUANTILES, InteractionProfile
from expectations.lists import FallbackProfile, ListProfile

AS_OF = dt.date(2026, 11, 16)
LAST = dt.datetime(2026, 11, 15, 23, 59, tzinfo=dt.UTC)


def interaction_profile(weights: npt.NDArray[np.float64] | None = None, **changes: Any) -> InteractionProfile:
    """A sound profile of 100 users × 20 sources whose weights are `weights`, with fields replaced."""
    values = np.repeat([0.5, 1.0, 2.0, 4.0], 500) if weights is None else weights
    places = np.clip(np.floor(np.log2(values)) - FIRST_BIN, 0, BINS - 1).astype(int)
    fields: dict[str, Any] = {
        "columns": describe(contract.interactions("int64")),
        "rows": values.size,
        "users": 100,
        "sources": 20,
        "nulls": {"user_id": 0, "source_id": 0, "weight": 0, "last_ts": 0},
        "non_finite": 0,
        "non_positive": 0,
        "duplicates": 0,
        "min": float(values.min()),
        "max": float(values.max()),
        "mean": float(values.mean()),
        "quantiles": tuple(float(q) for q in np.quantile(values, QUANTILES, method="inverted_cdf")),
        "histogram": tuple(int(count) for count in np.bincount(places, minlength=BINS)),
        "first_ts": LAST - dt.timedelta(days=9),
        "last_ts": LAST,
    }
    return InteractionProfile(**{**fields, **changes})


def list_profile(**changes: Any) -> ListProfile:
    """A sound profile of 1,000 lists of 50 out of 300 eligible sources, with fields replaced."""
    fields: dict[str, Any] = {
        "columns": describe(contract.lists("int64")),
        "n": 50,
        "share_bp": 10_000,
        "lists": 1000,
        "personal": 950,
        "users": 1000,
        "expected_users": 960,
        "nulls": {"user_id": 0, "source_ids": 0, "scores": 0, "personal": 0},
        "full": 990,
        "too_long": 0,
        "min_length": 12,
        "mean_length": 49.8,
        "with_duplicates": 0,
        "mismatched": 0,
        "non_finite": 0,
        "ascending": 0,
        "excluded": dict.fromkeys(contract.EXCLUSION_REASONS, 0),
        "ineligible": 0,
        "outside_share": 0,
        "eligible_sources": 300,
        "listed_sources": 250,
        "most_frequent": 300,
        "fallback": fallback_profile(),
    }
    return ListProfile(**{**fields, **changes})


def fallback_profile(**changes: int) -> FallbackProfile:
    """A sound profile of a fallback list of 200 sources, with fields replaced."""
    sound = {"sources": 200, "ineligible": 0, "duplicates": 0, "mismatched": 0, "non_finite": 0, "ascending": 0}
    return FallbackProfile(**{**sound, **changes})
