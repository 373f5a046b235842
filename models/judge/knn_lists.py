"""Item-kNN's final lists by the rules of ours: no exclusions, only eligible sources, popular ones for cold users."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as sf

from conf.ids import IdKind
from models.arrays.arrow import column_of, lengths_of
from models.judge.item_knn import load_neighbours
from models.lists.fallback import Fallback
from models.lists.topn import list_batch, list_columns, list_schema


def knn_lists(
    users: DataFrame,
    folder: Callable[[], str],
    popular: Fallback,
    n: int,
    ids: IdKind,
) -> DataFrame:
    """Returns contract.lists of `users`, rows of `gather_judged`, that have interactions or exclusions.

    `folder` is called on the workers and names that of `Neighbours.save`. A user without interactions gets `popular`
    without their exclusions (personal = false). The rows have no order.
    """
    known = users.where((sf.size("history") > 0) | (sf.size("excluded") > 0)).select("user_id", "history", "excluded")
    return known.mapInArrow(_KnnLists(folder, popular, n, ids), list_schema(ids))


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
            known = column_of(lengths_of(batch["history"]) > 0)
            some, others = batch.filter(known), batch.filter(pc.invert(known))
            best = neighbours.best(some["history"], some["excluded"], self.n)
            yield list_batch(some["user_id"], *list_columns(best, neighbours.ids), self.ids, personal=True)
            popular = self.popular.without(others["excluded"], self.n, self.ids)
            yield list_batch(others["user_id"], *popular, self.ids, personal=False)
