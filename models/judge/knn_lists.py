"""Item-kNN's final lists by the rules of ours: no exclusions, only eligible sources, popular ones for cold users."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as sf

from conf.ids import IdKind
from models.judge.item_knn import load_neighbours
from models.lists.fallback import Fallback
from models.lists.topn import excluded_sources, list_batch, list_columns, list_schema


def knn_lists(
    interactions: DataFrame,
    exclusions: DataFrame,
    users: DataFrame,
    folder: Callable[[], str],
    popular: Fallback,
    n: int,
    ids: IdKind,
) -> DataFrame:
    """Returns contract.lists of `users` (user_id) with interactions or exclusions, by the judged recipe's interactions.

    `folder` is called on the workers and names that of `Neighbours.save`. A user without interactions gets `popular`
    without their exclusions (personal = false). The rows have no order.
    """
    known = interactions.join(users, "user_id", "left_semi")
    histories = known.groupBy("user_id").agg(sf.collect_list("source_id").alias("history"))
    rows = histories.join(excluded_sources(exclusions, users), "user_id", "full_outer")
    work = _KnnLists(folder, popular, n, ids)
    return rows.select("user_id", "history", "excluded").mapInArrow(work, list_schema(ids))


@dataclass(frozen=True)
class _KnnLists:
    """Maps (user_id, history, excluded) to contract.lists."""

    folder: Callable[[], str]
    popular: Fallback
    n: int
    ids: IdKind

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        neighbours = load_neighbours(self.folder())
        for batch in batches:
            known = batch["history"].is_valid()
            some, others = batch.filter(known), batch.filter(pc.invert(known))
            best = neighbours.best(some["history"], some["excluded"], self.n)
            yield list_batch(some["user_id"], *list_columns(best, neighbours.ids), self.ids, personal=True)
            popular = self.popular.without(others["excluded"], self.n, self.ids)
            yield list_batch(others["user_id"], *popular, self.ids, personal=False)
