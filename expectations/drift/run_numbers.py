"""The numbers of what a run made: of its interactions, its judged recipe, its factors and its lists."""

import datetime as dt
from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from expectations.drift.history import Measured
from expectations.drift.numbers import Number
from expectations.drift.statistics import Kind
from expectations.drift.weeks import WEEK
from expectations.interactions import QUANTILES, InteractionProfile
from expectations.lists import ListProfile

_DAY = np.timedelta64(1, "D")


def measured(kind: Kind, as_of: dt.date, made_of: str, numbers: Iterator[Number]) -> list[Measured]:
    """Returns the numbers of a run as they are kept; the subject has the name of its kind."""
    return [
        Measured(kind, kind, name, as_of, float(value), float(n), made_of, *note) for name, value, n, *note in numbers
    ]


def interaction_numbers(profile: InteractionProfile) -> Iterator[Number]:
    """Yields the numbers of a run's interactions."""
    for name in ("rows", "users", "sources"):
        count = getattr(profile, name)
        yield name, count, count
    quantiles = dict(zip(QUANTILES, profile.quantiles, strict=False))
    weights = {
        "mean_weight": profile.mean,
        "median_weight": quantiles.get(0.5),
        "p99_weight": quantiles.get(0.99),
        "largest_weight": profile.max,
    }
    for name, weight in weights.items():
        if weight is not None and weight > 0:
            yield name, weight, profile.rows


def judged_numbers(judged: Mapping[str, float]) -> Iterator[Number]:
    """Yields the quality of the judged recipe, of the facts of stage train; nothing if it was not judged."""
    ndcg, popularity = judged.get("ndcg"), judged.get("popularity.ndcg")
    if ndcg is not None and popularity:
        yield "ndcg", ndcg, 1
        yield "over_popularity", ndcg / popularity, 1


def factor_numbers(norms: Mapping[str, tuple[float, float, int]]) -> Iterator[Number]:
    """Yields the size of factors; norms: `user` and `source` → median, 99 % quantile and number of the norms."""
    for name, (median, high, count) in norms.items():
        yield f"{name}_norm", median, count
        yield f"{name}_norm_p99", high, count


def list_numbers(
    profile: ListProfile, sample: pa.Table, sources: pa.Table, known: pa.Table, as_of: dt.date
) -> Iterator[Number]:
    """Yields the numbers of a run's lists.

    sample: `contract.list_sample`; sources: `contract.sources`; known: `contract.train_sources`, which has since when
    sources exist.
    """
    yield "lists", profile.lists, profile.lists
    shares = {
        "full": (profile.full, profile.lists),
        "fallback": (profile.lists - profile.personal, profile.lists),
        "coverage": (profile.listed_sources, profile.eligible_sources),
        "largest_source": (profile.most_frequent, profile.personal),
    }
    for name, (part, whole) in shares.items():
        if whole:
            yield name, part / whole, whole
    if sample.num_rows:
        yield from _of_sample(sample, sources)
        yield from _ages(sample, known, as_of)


def overlap_numbers(sample: pa.Table, former: pa.Table) -> Iterator[Number]:
    """Yields what lists have in common with those that serve; of each `contract.list_sample`."""
    if (overlap := _overlap(sample, former)) is not None:
        yield "overlap", *overlap


def made_after(made_of: str, days: int) -> str:
    """Returns what lists are made of so many days after those that serve: after weeks, less of these is left."""
    weeks = round(days / WEEK)
    return made_of if weeks <= 1 else f"{made_of} after {weeks} weeks"


def _of_sample(sample: pa.Table, sources: pa.Table) -> Iterator[Number]:
    eligible = sources.filter(sources["eligible"])
    listed = pc.index_in(pc.list_flatten(sample["source_ids"]), value_set=eligible["source_id"])
    places = listed.drop_null().to_numpy().astype(np.int64)
    counts = np.bincount(places, minlength=eligible.num_rows)
    users = eligible["users"].to_numpy()
    if counts.sum():
        yield "gini", _gini(counts), float(counts.sum())
        if users.mean() > 0:
            yield "popularity", users[places].mean() / users.mean(), float(len(places))
    yield "excluded", max(float(pc.mean(pc.list_value_length(sample["excluded"])).as_py() or 0), 1e-3), sample.num_rows
    scores = sample["score"].drop_null().to_numpy()
    if len(scores) and np.median(scores) > 0:
        yield "median_score", np.median(scores), len(scores)


def _ages(sample: pa.Table, known: pa.Table, as_of: dt.date) -> Iterator[Number]:
    """Yields the mean age of listed sources; younger ones than a day count as one day old."""
    dated = known.filter(pc.is_valid(known["since"]))
    places = pc.index_in(pc.list_flatten(sample["source_ids"]), value_set=dated["source_id"]).drop_null()
    if len(places):
        ages = (np.datetime64(as_of) - dated["since"].to_numpy()[places.to_numpy()]) / _DAY
        yield "age_of_sources", max(float(ages.mean()), 1.0), float(len(places))


def _gini(counts: NDArray[np.int64]) -> float:
    """Returns the Gini coefficient of counts, 0 (all alike) … 1; not all are 0."""
    ordered = np.sort(counts)
    rank = np.arange(1, len(ordered) + 1)
    return float((2 * rank - len(ordered) - 1) @ ordered / (len(ordered) * ordered.sum()))


def _overlap(sample: pa.Table, former: pa.Table) -> tuple[float, float] | None:
    """Returns the mean share of a list that was in the user's list before, and of how many users; None if of none."""
    place = pc.index_in(sample["user_id"], value_set=former["user_id"])
    both = sample.filter(pc.is_valid(place))
    if not both.num_rows:
        return None
    old = former["source_ids"].take(place.drop_null())
    pairs = zip(both["source_ids"].to_pylist(), old.to_pylist(), strict=True)
    shares = [len({*now}.intersection(before or ())) / len(now) for now, before in pairs if now]
    return (float(np.mean(shares)), len(shares)) if shares else None
