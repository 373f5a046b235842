"""Lists for the judged users of a part, by the product's own path and by what it must beat."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from benchmarks.quality.part import Part
from conf.settings import JudgeSettings, TrainSettings
from models.arrays.arrow import ListColumn, column_of
from models.arrays.ids import IdMap
from models.judge import Neighbours
from models.lists.fallback import fallback_list
from models.lists.topn import list_columns
from models.metrics import score_lists
from models.ranking import SourceIndex, rank_top_n
from models.training.als import Factors
from models.training.matrix import fill_matrix
from models.training.train import train

LONGEST = 100
"""Sources in a list."""


@dataclass(frozen=True)
class Arm:
    """How good the lists of one way to make them are."""

    recall: float
    ndcg: float
    seconds: float
    """To train and to rank."""


@dataclass(frozen=True, eq=False)
class Lists:
    """A list for each judged user of a part, best first, and the seconds that they took."""

    source_ids: ListColumn
    seconds: float

    def judge(self, part: Part, k: int) -> Arm:
        """Returns means over the judged users of Recall@k and NDCG@k."""
        scores = score_lists(self.source_ids, part.truths, k)
        return Arm(float(scores.recall.mean()), float(scores.ndcg.mean()), round(self.seconds, 1))


def timed(make: Callable[[Part], ListColumn], part: Part) -> Lists:
    """Lists, and how long they took."""
    started = time.perf_counter()
    lists = make(part)
    return Lists(lists, time.perf_counter() - started)


def our_lists(part: Part, settings: TrainSettings) -> ListColumn:
    """Train, rank, leave out what is seen; who has no factors gets the popularity list, as in the product."""
    trained = train(part.interactions, settings, part.ids)
    return ranked_lists(part, trained.users, trained.sources, trained.user_factors, trained.source_factors)


def ranked_lists(
    part: Part, users: IdMap, sources: IdMap, user_factors: Factors, source_factors: Factors
) -> ListColumn:
    """Returns the product's lists by these factors, whose rows are those of the maps."""
    rows = users.rows(part.users)
    known = np.flatnonzero(rows >= 0)
    seen = fill_matrix(part.interactions, users, sources)[rows[known]]
    best = rank_top_n(SourceIndex.build(source_factors), user_factors[rows[known]], LONGEST, exclude=seen)
    lists, _ = list_columns(best, sources)
    return _spread(lists, known, popular_lists(part))


def knn_lists(part: Part) -> ListColumn:
    """Cosine item-kNN; where it is silent, the popularity list."""
    judge = JudgeSettings()
    neighbours = Neighbours.build(part.interactions, part.sources, judge, TrainSettings(), part.ids)
    best = neighbours.best(part.histories, part.histories, LONGEST)
    lists, _ = list_columns(best, neighbours.ids)
    spoken = np.flatnonzero(best.ids[:, 0] >= 0)
    return _spread(lists.take(column_of(spoken)), spoken, popular_lists(part))


def popular_lists(part: Part) -> ListColumn:
    """Returns the most popular sources without what the user has seen."""
    lists, _ = fallback_list(part.sources, len(part.sources)).without(part.histories, LONGEST, part.ids)
    return lists


def _spread(lists: ListColumn, rows: "np.ndarray[tuple[int], np.dtype[np.int64]]", others: ListColumn) -> ListColumn:
    """Returns the lists at `rows`, the others' elsewhere."""
    places = np.arange(len(others)) + len(lists)
    places[rows] = np.arange(len(lists))
    return pa.concat_arrays([lists, others.cast(lists.type)]).take(column_of(places))


def lists_table(part: Part, lists: ListColumn) -> pa.Table:
    """user_id, source_ids (best first) of the judged users."""
    return pa.table({"user_id": part.users, "source_ids": lists})
