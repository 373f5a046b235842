"""The data that trials are judged on: what is known at one cut, and what users newly engaged with after it."""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from threadpoolctl import threadpool_limits

from conf import contract
from conf.ids import IdKind
from conf.settings import ListSettings
from models.arrays.arrow import Column, ListColumn, column_of, list_column, numpy_of, whole
from models.arrays.ids import IdMap
from models.judge import POPULARITY_SIZE
from models.lists.candidates import Candidates
from models.lists.fallback import fallback_list
from models.lists.topn import serve_users
from models.metrics import ListScores, score_lists
from models.training.als import Factors
from models.training.factor_table import factor_batches
from models.training.matrix import scan_ids

_BLOCK = 4096
"""Users ranked at once."""


@dataclass(frozen=True, eq=False)
class Part:
    """Interactions (contract.interactions), and users with a truth; lists are cut at k.

    truths and excluded: for each of `users`, the sources that they newly engaged with, and those that their list must
    not hold. trained: the users and sources of the interactions, in the row order of every training's factors.
    """

    interactions: ds.Dataset
    sources: pa.Table
    """contract.train_sources."""
    users: Column
    truths: ListColumn
    excluded: ListColumn
    trained: tuple[IdMap, IdMap]
    lists: ListSettings
    k: int
    ids: IdKind

    @classmethod
    def of(
        cls,
        interactions: ds.Dataset,
        exclusions: pa.Table,
        sources: pa.Table,
        truth: pa.Table,
        *,
        lists: ListSettings,
        k: int,
        ids: IdKind,
    ) -> "Part":
        """Makes a part; judged are the users of the truth (contract.holdout), exclusions of others are ignored."""
        users = IdMap.of(truth["user_id"], ids).to_arrow()
        k = min(k, lists.n)
        return cls(
            interactions=interactions,
            sources=sources,
            users=users,
            truths=_by_user(truth, users),
            excluded=_by_user(exclusions, users),
            trained=scan_ids(interactions, ids),
            lists=lists.model_copy(update={"n": k}),  # a list is filled from its head: its first k are the same
            k=k,
            ids=ids,
        )

    def sample(self, most: int, seed: int) -> "Part":
        """Returns the part with at most `most` users, drawn at random."""
        if len(self.users) <= most:
            return self
        drawn = column_of(np.sort(np.random.default_rng(seed).choice(len(self.users), most, replace=False)))
        return replace(
            self, users=self.users.take(drawn), truths=self.truths.take(drawn), excluded=self.excluded.take(drawn)
        )

    def judge(self, user_factors: Factors, source_factors: Factors) -> ListScores:
        """Scores the lists that the users would get by these factors of the trained ids. Raises NoCandidates."""
        batches = factor_batches(self.trained[1], source_factors, contract.source_factors(self.ids))
        factors = pa.Table.from_batches(batches)
        candidates = Candidates.build(ds.dataset(factors), self.sources, self.ids)
        fallback = fallback_list(self.sources, self.lists.fallback_size)
        rows = self.trained[0].rows(self.users)
        lengths = np.where(rows >= 0, user_factors.shape[1], 0)
        own = pc.if_else(
            column_of(rows >= 0), list_column(lengths, column_of(user_factors[rows[rows >= 0]].ravel())), None
        )
        batch = pa.RecordBatch.from_arrays([self.users, own, self.excluded], ["user_id", "factors", "excluded"])
        with threadpool_limits(1, "blas"):
            served = [
                lists
                for start in range(0, len(self.users), _BLOCK)
                for lists in serve_users(batch.slice(start, _BLOCK), candidates, fallback, self.lists, self.ids)
            ]
        return self._scores(pa.Table.from_batches(served))

    def judge_popular(self) -> ListScores:
        """Scores the most popular sources without each user's excluded ones."""
        popular, _ = fallback_list(self.sources, POPULARITY_SIZE).without(self.excluded, self.k, self.ids)
        return score_lists(popular, self.truths, self.k)

    def _scores(self, served: pa.Table) -> ListScores:
        places = pc.index_in(self.users, served["user_id"].combine_chunks())
        return score_lists(served["source_ids"].combine_chunks().take(places), self.truths, self.k)


def _by_user(pairs: pa.Table, users: Column) -> ListColumn:
    """Returns the source_ids of each of the users (ascending), possibly none."""
    rows = pc.index_in(pairs["user_id"], users)
    kept = pairs.select(["source_id"]).append_column("row", rows).filter(rows.is_valid()).sort_by("row")
    lengths = np.bincount(numpy_of(kept["row"]), minlength=len(users))
    return list_column(lengths, whole(kept["source_id"]).cast(pairs["source_id"].type))
