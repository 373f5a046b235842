"""Computes vectors for users who came after a training, from their interactions, while the sources stay unchanged.

This is the users' half of an alternation (Hu, Koren, Volinsky 2008) with the constants of the training. These are
absolute: weights must be computed as in the training, since another unit would give other vectors.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from scipy.sparse import csr_matrix

from conf import contract
from conf.ids import IdKind
from models.arrays.arrow import column_of, numpy_of
from models.arrays.factors import dimensions_of, gather_factors
from models.arrays.ids import IdMap
from models.arrays.streamed import streamed
from models.errors import BadFactors, BadInteractions
from models.training.als import Factors, HalfStep
from models.training.confidences import Constants, Counts
from models.training.factor_table import factor_batches
from models.training.matrix import fill_matrix, interaction_batches, scan_ids

_ROWS = 2**18
"""Interactions solved at once."""


@dataclass(frozen=True, eq=False)
class FoldIn:
    """The sources of a training: a source is its row in `sources`, with its factors and number of interactions then."""

    sources: IdMap
    source_counts: Counts
    constants: Constants
    step: HalfStep

    @classmethod
    def of(
        cls, sources: IdMap, source_factors: Factors, source_counts: Counts, constants: Constants, threads: int = 0
    ) -> "FoldIn":
        """Makes it from source factors float32 (sources, d) and counts int64 (sources,); threads 0: every core."""
        return cls(sources, source_counts, constants, HalfStep(source_factors, constants.regularization, threads))

    @classmethod
    def read(
        cls, source_factors: ds.Dataset, sources: ds.Dataset, constants: Constants, kind: IdKind, threads: int = 0
    ) -> "FoldIn":
        """Reads contract.source_factors and contract.sources of one run. Raises BadFactors if the runs differ."""
        ids = IdMap.of(source_factors.to_table(columns=["source_id"])["source_id"], kind)
        factors, _, _ = gather_factors(source_factors, "source_id", ids, dimensions_of(source_factors))
        counts = np.zeros(len(ids), np.int64)
        for _, batch in streamed(sources, ["source_id", "users"], _ROWS):
            rows = ids.rows(batch["source_id"])
            counts[rows[rows >= 0]] = numpy_of(batch["users"])[rows >= 0]
        if lost := int((counts == 0).sum()):
            raise BadFactors(
                f"{lost} of {len(ids)} sources with factors have no users in sources; take both of one run"
            )
        return cls.of(ids, factors, counts, constants, threads)

    def factors(self, weights: csr_matrix) -> Factors:
        """Returns factors float32 (users, d) of weights (users, sources), which are overwritten. Raises TrainError."""
        return self.step.solve(self.constants.confidences_of(weights, self.source_counts))

    def new_users(self, interactions: ds.Dataset, known: IdMap) -> Iterator[pa.RecordBatch]:
        """Yields contract.user_factors of the users of contract.interactions who are not `known`, in order of ids.

        Interactions with sources that the training did not know are ignored; a user who has no others gets no row.
        Raises BadInteractions as training does, and TrainError.
        """
        before = known.values[:0]
        for block in self._blocks(interactions, known):
            users, _ = scan_ids(ds.dataset(block), self.sources.kind)
            if len(before) and users.values[0] <= before[-1]:
                raise BadInteractions("interactions are not sorted by user_id; sort them when writing")
            factors = self.factors(fill_matrix(ds.dataset(block), users, self.sources))
            yield from factor_batches(users, factors, contract.user_factors(self.sources.kind))
            before = users.values

    def _blocks(self, interactions: ds.Dataset, known: IdMap) -> Iterator[pa.Table]:
        """Yields rows of unknown users with known sources, in blocks that never split a user."""
        columns = ["user_id", "source_id", "weight"]
        waiting = pa.table({name: pa.array([], interactions.schema.field(name).type) for name in columns})
        for _, batch in interaction_batches(interactions, columns, self.sources.kind):
            useful = (known.rows(batch["user_id"]) < 0) & (self.sources.rows(batch["source_id"]) >= 0)
            waiting = pa.concat_tables([waiting, pa.Table.from_batches([batch.filter(column_of(useful))])])
            if len(waiting) >= _ROWS:
                last = pc.index(waiting["user_id"], waiting["user_id"][-1]).as_py()  # their rows may go on
                if last:
                    yield waiting.slice(0, last)
                waiting = waiting.slice(last)
        if len(waiting):
            yield waiting
