"""Measures a run's recipe on frozen data, which distinguishes a change of the code from a change of the data."""

import tempfile
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from conf.digest import sha256_of
from conf.training import TrainSettings
from models.arrays.arrow import column_of, list_column, numpy_of
from models.errors import GoldenChanged
from models.metrics import ListScores, score_lists
from models.training.train import Embeddings, train

NAME, VERSION, FILE = "planted_tastes", 1, "planted_tastes_1.parquet"
SHA256 = "8a56ae44f9402b5f0c34c32a316c931caec20e01d897d7521adbeebc8d280d12"
"""SHA-256 of FILE; other data are another version, with their own name, number and hash."""

K = 20
"""Length at which lists are cut."""

_Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class GoldenMetrics:
    """Means over the users of the golden data with a truth, lists cut at `k`; users without a hit count as 0."""

    name: str
    version: int
    sha256: str
    k: int
    users: int
    ndcg: float
    recall: float
    popularity_ndcg: float
    popularity_recall: float

    def to_json(self) -> dict[str, Any]:
        """Returns the fields by name."""
        return asdict(self)


def golden_metrics(settings: TrainSettings, content: bytes | None = None) -> GoldenMetrics:
    """Returns NDCG and Recall of a cold training on the golden data; takes about a second.

    Trains on this machine in one thread whatever `settings` says, so that the figures of runs with the same trainer,
    hyper-parameters and seed are comparable (and exact on one platform). content: bytes to use instead of the installed
    data set. Raises GoldenChanged.
    """
    table = golden_table(content)
    held_out = numpy_of(table["held_out"])
    known, truth = table.filter(column_of(~held_out)), table.filter(column_of(held_out))
    own = {"threads": 1, "max_memory": TrainSettings.model_fields["max_memory"].default}
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(1, "blas"):
        pq.write_table(known, Path(folder, FILE))
        made = train(ds.dataset(folder, format="parquet"), settings.model_copy(update=own), "int64")
        scores = made.user_factors @ made.source_factors.T
    seen, wanted = (_mask(made, part) for part in (known, truth))
    judged = np.flatnonzero(wanted.any(axis=1))
    popularity = np.broadcast_to(seen.sum(axis=0), seen.shape)
    ours, theirs = (_scored(by[judged], seen[judged], wanted[judged]) for by in (scores, popularity))
    return GoldenMetrics(
        name=NAME,
        version=VERSION,
        sha256=SHA256,
        k=K,
        users=len(judged),
        ndcg=float(ours.ndcg.mean()),
        recall=float(ours.recall.mean()),
        popularity_ndcg=float(theirs.ndcg.mean()),
        popularity_recall=float(theirs.recall.mean()),
    )


def golden_table(content: bytes | None = None) -> pa.Table:
    """Returns the golden data (planted.SCHEMA) from the package or from `content`. Raises GoldenChanged."""
    found = files(__package__).joinpath(FILE).read_bytes() if content is None else content
    digest = sha256_of(found)
    if digest != SHA256:
        raise GoldenChanged(
            f"the golden data set {NAME} {VERSION} ({FILE}) has the SHA-256 {digest}, registered is {SHA256}: figures "
            "on it would not compare with earlier ones; restore the file from this version of the code, or register "
            "new data as a new version in models/golden/measure.py"
        )
    return pq.read_table(pa.BufferReader(found))


def _mask(made: Embeddings, pairs: pa.Table) -> _Mask:
    """Returns which (user, source) are among the pairs, bool (users, sources)."""
    found = np.zeros((len(made.users), len(made.sources)), bool)
    found[made.users.rows(pairs["user_id"]), made.sources.rows(pairs["source_id"])] = True
    return found


def _scored(scores: NDArray[Any], seen: _Mask, wanted: _Mask) -> ListScores:
    """Scores the lists of the K best unseen sources (ties by smaller row) against the wanted ones."""
    best = np.argsort(np.where(seen, np.inf, -scores), axis=1, kind="stable")[:, :K]
    lists = list_column(np.full(len(best), K), column_of(best.ravel()))
    return score_lists(lists, list_column(wanted.sum(axis=1), column_of(np.nonzero(wanted)[1])), K)
