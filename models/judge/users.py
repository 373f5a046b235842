"""Lists and truth → one row per judged user: what each arm serves them, and its metrics."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame
from pyspark.sql import functions as sf
from pyspark.sql.pandas.types import from_arrow_schema

from conf import contract
from conf.contract import METRICS
from conf.ids import IdKind
from conf.settings import JudgeSettings
from models.arrays.arrow import Column, ListColumn, column_of, lengths_of
from models.judge.known import KnownSources, load_known
from models.lists.fallback import Fallback
from models.metrics import find_hits, score_hits

OURS, POPULARITY, ITEM_KNN, CHAMPION = "ours", "popularity", "item_knn", "champion"
"""The arms; `ours` is the recipe that is judged."""

POPULARITY_SIZE = 10_000
"""Number of sources in the popularity list; users are served those of them that are not excluded."""

COLD, LIGHT, HEAVY = "cold", "light", "heavy"
"""Segments of users by their interactions before the cut."""


@dataclass(frozen=True, eq=False)
class JudgeInputs:
    """What lists are judged by; all as of the cut except the truth.

    users: rows of `gather_judged`; popular: the popular sources, best first; known: returns, on a worker, the folder of
    `KnownSources.save` on its machine.
    """

    users: DataFrame
    popular: Fallback
    known: Callable[[], str]
    ids: IdKind


def judge_users(arms: Mapping[str, DataFrame], inputs: JudgeInputs, k: int, settings: JudgeSettings) -> DataFrame:
    """Returns contract.judged_users of the arms (contract.lists by name, ours first) and `popularity`.

    Judged are the users with a truth; lists are cut at k. A user without a row in an arm's lists is served the popular
    sources there. Rows have no order. The workers raise LeakedSource when a list holds a source that was unknown before
    the cut.
    """
    rows = inputs.users.withColumn("segment", _segment(settings.heavy_from)).drop("history")
    for arm, lists in arms.items():
        top = sf.slice("source_ids", 1, k).alias(f"{arm}_top")
        rows = rows.join(lists.select("user_id", top, sf.col("personal").alias(f"{arm}_personal")), "user_id", "left")
    ours, *others = arms
    work = _Judge((ours, POPULARITY, *others), inputs.popular, inputs.known, k, inputs.ids)
    return rows.mapInArrow(work, from_arrow_schema(work.schema))


def _segment(heavy_from: int) -> SparkColumn:
    known = sf.size("history")
    return sf.when(known == 0, COLD).when(known < heavy_from, LIGHT).otherwise(HEAVY)


@dataclass(frozen=True)
class _Judge:
    """Maps (user_id, segment, truths, excluded, <arm>_top, <arm>_personal) to contract.judged_users."""

    arms: tuple[str, ...]
    popular: Fallback
    known: Callable[[], str]
    k: int
    ids: IdKind

    @property
    def schema(self) -> pa.Schema:
        return contract.judged_users(self.ids, self.arms)

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        known = load_known(self.known())
        for batch in batches:
            truths = _Truths(batch["truths"], lengths_of(batch["truths"]), known.count_new(batch["truths"]))
            popular, _ = self.popular.without(batch["excluded"], self.k, self.ids)
            columns = []
            for arm in self.arms:
                lists, personal = _served(batch, arm, popular)
                columns.append(self._arm(lists, personal, truths, known.rows(lists, arm), known))
            yield pa.RecordBatch.from_arrays([batch["user_id"], batch["segment"], *columns], schema=self.schema)

    def _arm(
        self, lists: ListColumn, personal: Column, truths: "_Truths", rows: NDArray[np.int32], known: KnownSources
    ) -> Column:
        """Returns the struct of one arm; `rows` are its listed sources as rows of `known`."""
        hit, lengths = find_hits(lists, truths.lists), lengths_of(lists)
        scores = score_hits(hit, lengths, truths.sizes, self.k)
        on_new = score_hits(hit & known.new[rows], lengths, truths.new_sizes, self.k)
        columns = {
            "source_ids": lists,
            **{name: column_of(getattr(scores, name)) for name in METRICS},
            **{f"new_{name}": pa.array(getattr(on_new, name), mask=truths.new_sizes == 0) for name in METRICS},
            "novelty": known.novelty(rows, lengths),
            "covered": pc.and_(personal, column_of(lengths > 0)),
            "fallback": pc.invert(personal),
        }
        fields = list(self.schema.field(self.arms[0]).type)
        struct: Column = pa.StructArray.from_arrays(
            [columns[field.name].cast(field.type) for field in fields], fields=fields
        )
        return struct


@dataclass(frozen=True, eq=False)
class _Truths:
    """The truth of each user of a batch, its size, and the number of its sources that were new at the cut."""

    lists: ListColumn
    sizes: NDArray[np.int64]
    new_sizes: NDArray[np.int64]


def _served(batch: pa.RecordBatch, arm: str, popular: ListColumn) -> tuple[ListColumn, Column]:
    """Returns what an arm serves the users of a batch, and whether each list is personal."""
    if arm == POPULARITY:
        return popular, column_of(np.zeros(len(popular), bool))
    own, personal = batch[f"{arm}_top"], batch[f"{arm}_personal"]
    return pc.coalesce(own, popular.cast(own.type)), personal.fill_null(fill_value=False)
