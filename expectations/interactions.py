"""Gate 1, interactions: the measured numbers, and the list of expectations on them.

Names in `conf/gates.py` are limits, which `--override` lifts; the other expectations belong to the contract. Numbers
that do not exist (the mean of no rows) are None, and every expectation on None fails.
"""

import datetime as dt
import math
from collections.abc import Sequence
from itertools import zip_longest
from typing import Literal

from pydantic import Field

from conf import contract
from conf.base import Strict
from conf.gates import InteractionGate
from conf.ids import IdKind
from expectations.checks import Between, Check, both, change, limit, none_of, same_columns

QUANTILES = (0.1, 0.5, 0.9, 0.99)
"""Probabilities of the measured quantiles of the weight."""

FIRST_BIN, BINS = -12, 32
"""Bin k counts weights with floor(log2(weight)) = FIRST_BIN + k; the outermost bins take what lies beyond, so that no
positive weight is without a bin."""


class InteractionProfile(Strict):
    """The interactions of one run, over all rows. Counts are exact; quantiles have a rank error of at most 0.0001.

    A new field needs a default: reports of earlier runs are read back.
    """

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


def interaction_checks(
    profile: InteractionProfile,
    limits: InteractionGate,
    before: InteractionProfile | str,
    ids: IdKind,
    as_of: dt.date,
) -> list[Check]:
    """Returns every expectation of the interactions, in the order of the report.

    If `before` is a reason instead of a profile, the relative ones are skipped for it.
    """
    nulls = ", ".join(f"{column} {count:,}" for column, count in profile.nulls.items() if count)
    weights = f"{profile.non_finite:,} not finite, {profile.non_positive:,} not positive"
    return [
        same_columns(profile.columns, contract.interactions(ids)),
        none_of("no_nulls", sum(profile.nulls.values()), nulls),
        none_of("positive_finite_weights", profile.non_finite + profile.non_positive, weights),
        none_of("no_duplicates", profile.duplicates),
        _no_future(profile, as_of),
        limit(limits, "min_rows", profile.rows, "count"),
        limit(limits, "min_users", profile.users, "count"),
        limit(limits, "min_sources", profile.sources, "count"),
        limit(limits, "max_weight", profile.max),
        change(limits, "max_change_of_rows", both(profile, before, _counts)),
        change(limits, "max_change_of_mean", both(profile, before, lambda found: {"mean": found.mean})),
        change(limits, "max_change_of_quantiles", both(profile, before, _quantiles)),
        limit(
            limits,
            "max_divergence",
            before if isinstance(before, str) else divergence(profile.histogram, before.histogram),
        ),
    ]


def _no_future(profile: InteractionProfile, as_of: dt.date) -> Check:
    midnight = dt.datetime.combine(as_of, dt.time(), dt.UTC)
    if profile.last_ts is None:
        return Between("before_as_of", None, high=0, detail="days after as_of")
    end = profile.last_ts + dt.timedelta(microseconds=1)  # half-open: the as-of midnight itself is too late
    detail = f"days after {as_of}, last event {profile.last_ts.isoformat()}"
    return Between("before_as_of", (end - midnight) / dt.timedelta(days=1), high=0, detail=detail)


def _counts(profile: InteractionProfile) -> dict[str, float | None]:
    return {"rows": profile.rows, "users": profile.users, "sources": profile.sources}


def _quantiles(profile: InteractionProfile) -> dict[str, float | None]:
    labels = (f"{probability:.0%} quantile".replace("%", " %") for probability in QUANTILES)
    return dict(zip_longest(labels, profile.quantiles))


def divergence(now: Sequence[int], before: Sequence[int]) -> float | None:
    """Returns the Kullback–Leibler divergence Σ p ln(p/q) in nats of two histograms; None if one is empty.

    Both have counts in the same bins; half a count is added to each (Krichevsky and Trofimov, IEEE Trans. Inf. Theory
    27, 1981), so that a bin that was empty before is improbable, not impossible. Great Expectations' own divergence is
    infinite there, or uses one fixed weight for all new bins, and needs rows; so it judges this number instead.
    """
    if not sum(now) or not sum(before):
        return None
    return sum(p * math.log(p / q) for p, q in zip(_smooth(now), _smooth(before), strict=True))


def _smooth(counts: Sequence[int]) -> list[float]:
    total = sum(counts) + len(counts) / 2
    return [(count + 0.5) / total for count in counts]
