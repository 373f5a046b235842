"""Interactions to train on, and the truth to judge by."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from conf.ids import IdKind
from models.arrays.arrow import Column, ListColumn, column_of, numpy_of, whole


@dataclass(frozen=True, eq=False)
class SplitPart:
    """Interactions (user_id, source_id, weight), one row per pair, sorted by both; and a truth (user_id, source_id).

    The judged users are those of the truth, in ascending order; some may have no interactions.
    """

    train: pa.Table
    truth: pa.Table
    ids: IdKind

    @classmethod
    def of(cls, train: pa.Table, truth: pa.Table, ids: IdKind) -> "SplitPart":
        """Makes a part of rows in any order; the weights of equal pairs are added up."""
        pairs = ["user_id", "source_id"]
        summed = train.group_by(pairs).aggregate([("weight", "sum")]).rename_columns([*pairs, "weight"])
        known = truth.select(pairs).group_by(pairs).aggregate([])
        return cls(_sorted(summed), _sorted(known), ids)

    @cached_property
    def interactions(self) -> ds.Dataset:
        """The interactions as a dataset for the trainer."""
        return ds.dataset(self.train)

    @cached_property
    def users(self) -> Column:
        """Ids of the judged users."""
        return whole(self.truth["user_id"].unique()).cast(self.truth["user_id"].type)

    @cached_property
    def truths(self) -> ListColumn:
        """The sources of each judged user's truth."""
        return _lists(self.truth, self.users)

    @cached_property
    def histories(self) -> ListColumn:
        """The sources that each judged user has interactions with; no list may hold them."""
        return _lists(self.train, self.users)

    @cached_property
    def sources(self) -> pa.Table:
        """The columns of contract.sources that the popularity list needs; every source may be recommended."""
        counted = self.train.group_by("source_id").aggregate([("user_id", "count"), ("weight", "sum")])
        named = counted.rename_columns(["source_id", "users", "weight"])
        return named.append_column("eligible", column_of(np.ones(len(named), bool)))


def _sorted(pairs: pa.Table) -> pa.Table:
    return pairs.sort_by([("user_id", "ascending"), ("source_id", "ascending")]).combine_chunks()


def _lists(pairs: pa.Table, users: Column) -> ListColumn:
    """Returns the source_ids of each user, from pairs sorted by user like `users`; [] where there are none."""
    rows = pc.index_in(pairs["user_id"], users)
    kept = pairs.filter(rows.is_valid())
    lengths = np.bincount(numpy_of(rows.drop_null()), minlength=len(users))
    offsets = column_of(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
    lists: ListColumn = pa.ListArray
    return lists.from_arrays(offsets, whole(kept["source_id"]).cast(pairs["source_id"].type))
