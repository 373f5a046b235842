"""Measures the fallback list: a few hundred entries that the driver holds, so no Spark."""

import math
from collections.abc import Collection
from itertools import pairwise

from expectations.profiles import FallbackList, FallbackProfile


def measure_fallback(fallback: FallbackList, eligible: Collection[int | str | None]) -> FallbackProfile:
    """The profile of `fallback`, of whose source ids those in `eligible` may be recommended."""
    ids, scores = fallback.source_ids, fallback.scores
    return FallbackProfile(
        sources=len(ids),
        ineligible=sum(source not in eligible for source in ids),
        duplicates=len(ids) - len(set(ids)),
        mismatched=abs(len(scores) - len(ids)),
        non_finite=sum(not math.isfinite(score) for score in scores),
        ascending=sum(after > before for before, after in pairwise(filter(math.isfinite, scores))),
    )
