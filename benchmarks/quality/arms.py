"""Makes lists for the judged users of a part: by the product's own path, item-kNN and popularity."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from benchmarks.quality.part import SplitPart
from conf.settings import JudgeSettings
from conf.training import AlsSettings, TrainSettings
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
"""Number of sources in a list."""


@dataclass(frozen=True)
class Arm:
    """Quality of the lists of one arm."""

    recall: float
    ndcg: float
    seconds: float
    """Seconds of training and ranking."""


@dataclass(frozen=True, eq=False)
class TimedLists:
    """A list for each judged user of a part, best first, and the seconds that making them took."""

    source_ids: ListColumn
    seconds: float

    def judge(self, part: SplitPart, k: int) -> Arm:
        """Returns the means of Recall@k and NDCG@k over the judged users."""
        scores = score_lists(self.source_ids, part.truths, k)
        return Arm(float(scores.recall.mean()), float(scores.ndcg.mean()), round(self.seconds, 1))


def timed(make: Callable[[SplitPart], ListColumn], part: SplitPart) -> TimedLists:
    """Makes the lists and takes the time."""
    started = time.perf_counter()
    lists = make(part)
    return TimedLists(lists, time.perf_counter() - started)


def our_lists(part: SplitPart, settings: TrainSettings) -> ListColumn:
    """Trains, ranks and leaves out seen sources; users without factors get the popularity list, as in the product."""
    trained = train(part.interactions, settings, part.ids)
    return ranked_lists(part, trained.users, trained.sources, trained.user_factors, trained.source_factors)


def ranked_lists(
    part: SplitPart, users: IdMap, sources: IdMap, user_factors: Factors, source_factors: Factors
) -> ListColumn:
    """Returns the product's lists by these factors, whose rows follow the id maps."""
    rows = users.rows(part.users)
    known = np.flatnonzero(rows >= 0)
    seen = fill_matrix(part.interactions, users, sources)[rows[known]]
    best = rank_top_n(SourceIndex.build(source_factors), user_factors[rows[known]], LONGEST, exclude=seen)
    lists, _ = list_columns(best, sources)
    return _spread(lists, known, popular_lists(part))


def knn_lists(part: SplitPart) -> ListColumn:
    """Returns lists of cosine item-kNN, and the popularity list where that finds nothing."""
    judge = JudgeSettings()
    neighbours = Neighbours.build(part.interactions, part.sources, judge, AlsSettings(), part.ids)
    best = neighbours.best(part.histories, part.histories, LONGEST)
    lists, _ = list_columns(best, neighbours.ids)
    spoken = np.flatnonzero(best.ids[:, 0] >= 0)
    return _spread(lists.take(column_of(spoken)), spoken, popular_lists(part))


def popular_lists(part: SplitPart) -> ListColumn:
    """Returns for each judged user the most popular sources that they have not seen."""
    lists, _ = fallback_list(part.sources, len(part.sources)).without(part.histories, LONGEST, part.ids)
    return lists


def _spread(lists: ListColumn, rows: "np.ndarray[tuple[int], np.dtype[np.int64]]", others: ListColumn) -> ListColumn:
    """Returns `lists` at the positions `rows`, and those of `others` elsewhere."""
    places = np.arange(len(others)) + len(lists)
    places[rows] = np.arange(len(lists))
    return pa.concat_arrays([lists, others.cast(lists.type)]).take(column_of(places))


def lists_table(part: SplitPart, lists: ListColumn) -> pa.Table:
    """Returns a table (user_id, source_ids best first) of the judged users."""
    return pa.table({"user_id": part.users, "source_ids": lists})
