"""Gate 1, interactions: names in `conf/gates.py` are limits, the other expectations belong to the contract."""

import datetime as dt
import math
from collections.abc import Sequence

from conf import contract
from conf.contract import IdKind
from conf.gates import InteractionGate
from expectations.checks import Between, Check, Skip, at_least, change, none_of, same_columns
from expectations.profiles import QUANTILES, InteractionProfile

_RELATIVE = ("max_change_of_rows", "max_change_of_mean", "max_change_of_quantiles", "max_divergence")


def interaction_checks(
    profile: InteractionProfile,
    limits: InteractionGate,
    baseline: InteractionProfile | str,
    ids: IdKind,
    as_of: dt.date,
) -> list[Check]:
    """Returns every expectation of the interactions, in the order of the report.

    If `baseline` is a reason instead of a profile, the relative ones are skipped for it.
    """
    return [*_contract(profile, ids, as_of), *_limits(profile, limits), *_drift(profile, limits, baseline)]


def _contract(profile: InteractionProfile, ids: IdKind, as_of: dt.date) -> list[Check]:
    nulls = ", ".join(f"{column} {count:,}" for column, count in profile.nulls.items() if count)
    weights = f"{profile.non_finite:,} not finite, {profile.non_positive:,} not positive"
    return [
        same_columns(profile.columns, contract.interactions(ids)),
        none_of("no_nulls", sum(profile.nulls.values()), nulls),
        none_of("positive_finite_weights", profile.non_finite + profile.non_positive, weights),
        none_of("no_duplicates", profile.duplicates),
        _no_future(profile, as_of),
    ]


def _no_future(profile: InteractionProfile, as_of: dt.date) -> Check:
    midnight = dt.datetime.combine(as_of, dt.time(), dt.UTC)
    if profile.last_ts is None:
        return Between("before_as_of", None, high=0, detail="days after as_of")
    end = profile.last_ts + dt.timedelta(microseconds=1)  # half-open: the as-of midnight itself is too late
    detail = f"days after {as_of}, last event {profile.last_ts.isoformat()}"
    return Between("before_as_of", (end - midnight) / dt.timedelta(days=1), high=0, detail=detail)


def _limits(profile: InteractionProfile, limits: InteractionGate) -> list[Check]:
    return [
        at_least("min_rows", profile.rows, limits.min_rows, "count"),
        at_least("min_users", profile.users, limits.min_users, "count"),
        at_least("min_sources", profile.sources, limits.min_sources, "count"),
        Between("max_weight", profile.max, high=limits.max_weight),
    ]


def _drift(now: InteractionProfile, limits: InteractionGate, before: InteractionProfile | str) -> list[Check]:
    if isinstance(before, str):
        return [Skip(name, before) for name in _RELATIVE]
    counts = {name: (getattr(now, name), getattr(before, name)) for name in ("rows", "users", "sources")}
    quantiles = {
        f"{probability:.0%} quantile".replace("%", " %"): (_at(now.quantiles, i), _at(before.quantiles, i))
        for i, probability in enumerate(QUANTILES)
    }
    return [
        change("max_change_of_rows", limits.max_change_of_rows, counts),
        change("max_change_of_mean", limits.max_change_of_mean, {"mean": (now.mean, before.mean)}),
        change("max_change_of_quantiles", limits.max_change_of_quantiles, quantiles),
        Between("max_divergence", divergence(now.histogram, before.histogram), high=limits.max_divergence),
    ]


def _at(values: Sequence[float], index: int) -> float | None:
    return values[index] if index < len(values) else None


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
