"""Final lists judged against what users newly engaged with in the hold-out, beside the popularity list."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from conf.contract import IdKind
from models.arrow import column_of, numpy_of
from models.errors import NothingToJudge
from models.fallback import Fallback
from models.list_metrics import ListScores, score_lists, spread
from models.topn import barred_sources


@dataclass(frozen=True)
class Judgement:
    """How good lists cut at k are: means over the judged users, those without a hit included."""

    k: int
    users: int
    ndcg: float
    recall: float
    map: float
    popularity_ndcg: float
    """popularity_*: the popularity list without each user's exclusions, for the same users."""
    popularity_recall: float
    popularity_map: float
    fallback_share: float
    """Share of the judged users who are served the fallback list, whole or without their exclusions."""
    coverage: float
    """Share of the eligible sources in any list, judged or not."""
    gini: float
    """How unevenly the places in all lists go to the eligible sources, 0 to 1."""

    def to_json(self) -> dict[str, int | float]:
        """The fields by name."""
        return asdict(self)


def judge_lists(
    lists: DataFrame,
    truth: DataFrame,
    exclusions: DataFrame,
    fallback: Fallback,
    k: int,
    *,
    eligible: int,
    ids: IdKind,
    users: DataFrame | None = None,
) -> Judgement:
    """Judges final lists (contract.lists) against `truth` (contract.holdout), for the users with truth.

    A user without a row is served the fallback list and judged on it. `users` (user_id) restricts the judged to those
    whom the lists are for; `eligible`: sources that may be recommended. Raises NothingToJudge when no user is left.
    """
    judged = truth if users is None else truth.join(users, "user_id", "left_semi")
    truths = judged.groupBy("user_id").agg(F.collect_set("source_id").alias("truths"))
    top = F.slice("source_ids", 1, k).alias("top")
    rows = truths.join(lists.select("user_id", top, "personal"), "user_id", "left").join(
        barred_sources(exclusions, judged.select("user_id")), "user_id", "left"
    )
    scored = rows.select("truths", "top", "personal", "barred").mapInArrow(_Judge(fallback, k, ids), _SCORES_DDL)
    means = scored.agg(F.count("*").alias("users"), *(F.avg(name).alias(name) for name in _SCORES)).collect()[0]
    if not means["users"]:
        raise NothingToJudge("no user of this run engaged with anything new in the hold-out; raise split.holdout_days")
    coverage, gini = spread(_places_per_source(lists.select(top)), eligible)
    return Judgement(k=k, coverage=coverage, gini=gini, **means.asDict())


_SCORES = [field.name for field in fields(Judgement) if field.name not in ("k", "users", "coverage", "gini")]
_SCORES_DDL = ", ".join(f"{name} double" for name in _SCORES)


@dataclass(frozen=True)
class _Judge:
    """truths, top, personal, barred → one row of metrics per user, in the order of _SCORES."""

    fallback: Fallback
    k: int
    ids: IdKind

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            popular_lists, _ = self.fallback.without(batch["barred"], self.k, self.ids)
            popular = score_lists(popular_lists, batch["truths"], self.k)
            has_row = numpy_of(batch["top"].is_valid())
            served = score_lists(batch["top"], batch["truths"], self.k).where(has_row, popular)
            from_fallback = 1.0 - numpy_of(batch["personal"].fill_null(fill_value=False)).astype(np.float64)
            columns = [*_columns(served), *_columns(popular), from_fallback]
            yield pa.RecordBatch.from_arrays([column_of(column) for column in columns], names=_SCORES)


def _columns(scores: ListScores) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return scores.ndcg, scores.recall, scores.map


def _places_per_source(tops: DataFrame) -> list[tuple[int, int]]:
    """(places, sources with that many places), ascending: small, however large the catalogue is."""
    places = tops.select(F.explode("top").alias("source_id")).groupBy("source_id").agg(F.count("*").alias("places"))
    histogram = places.groupBy("places").agg(F.count("*").alias("sources")).orderBy("places")
    return [(row["places"], row["sources"]) for row in histogram.collect()]
