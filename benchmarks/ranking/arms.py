"""Everything that ranks, or only multiplies, behind one signature; each arm runs on one thread.

Libraries are imported by the arm that uses them, so that the memory and time of an arm are its own.
"""

import time
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from benchmarks.ranking.stream import Factors, Stream

_SHAPES = ((2_048, 512), (512, 1_024), (1_024, 1_024), (256, 4_096), (128, 16_384))
"""Users × sources of one matrix product; which is fastest depends on the caches."""


class RankedLists(NamedTuple):
    """Lists (users, n), best first, and the counts of work where an arm reports them."""

    ids: NDArray[np.integer[Any]]
    scores: NDArray[np.float32]
    pairs: int = 0
    candidates: int = 0


Arm = Callable[[Factors, csr_matrix, int], RankedLists]
"""(user factors, exclusions, n) → lists; no rows from an arm that makes no lists."""


def _ours(stream: Stream, form: str) -> Arm:
    from models.ranking import SourceIndex, forms
    from models.ranking.rank import rank_counted

    index, walk = SourceIndex.load(index_folder(stream)), getattr(forms, form)

    def rank(users: Factors, exclude: csr_matrix, n: int) -> RankedLists:
        top, counts = rank_counted(index, users, n, exclude, walk)
        return RankedLists(top.ids, top.scores, counts.pairs, counts.candidates)

    return rank


def _implicit(stream: Stream) -> Arm:
    from implicit.cpu.topk import topk

    sources = stream.read_sources()
    return lambda users, exclude, n: RankedLists(*topk(sources, users, n, filter_query_items=exclude, num_threads=1))


def _faiss(stream: Stream) -> Arm:
    """Ranks without exclusions: faiss has none per user."""
    faiss, sources = import_module("faiss"), stream.read_sources()
    faiss.omp_set_num_threads(1)
    faiss.cvar.distance_compute_blas_threshold = 20  # by default it uses no matrix product for small blocks

    def rank(users: Factors, exclude: csr_matrix, n: int) -> RankedLists:
        del exclude
        scores, ids = faiss.knn(users, sources, n, metric=faiss.METRIC_INNER_PRODUCT)
        return RankedLists(ids, scores)

    return rank


class _Sgemm:
    """Computes all scores block by block and discards them."""

    def __init__(self, stream: Stream) -> None:
        self.sources = stream.read_sources()
        some = self.sources[: max(map(max, _SHAPES))]
        self.out = np.empty(max(rows * columns for rows, columns in _SHAPES), np.float32)
        self.shape = min(_SHAPES, key=lambda shape: self._seconds(some, shape))

    def __call__(self, users: Factors, exclude: csr_matrix, n: int) -> RankedLists:
        del exclude
        self._multiply(users, self.sources, self.shape)
        return RankedLists(np.empty((0, n), np.int32), np.empty((0, n), np.float32))

    def _multiply(self, users: Factors, sources: Factors, shape: tuple[int, int]) -> None:
        rows, columns = shape
        for first in range(0, len(users), rows):
            some = users[first : first + rows]
            for start in range(0, len(sources), columns):
                others = sources[start : start + columns]
                out = self.out[: len(some) * len(others)].reshape(len(some), len(others))
                np.matmul(some, others.T, out=out)

    def _seconds(self, some: Factors, shape: tuple[int, int]) -> float:
        taken = []
        for _ in range(3):
            start = time.perf_counter()
            self._multiply(some[:2_048], some, shape)
            taken.append(time.perf_counter() - start)
        return min(taken)


ARMS: dict[str, Callable[[Stream], Arm]] = {
    "ours": lambda stream: _ours(stream, "FASTEST"),
    "portable": lambda stream: _ours(stream, "PORTABLE"),
    "implicit": _implicit,
    "faiss": _faiss,
    "sgemm": _Sgemm,
}
"""Name of the arm → the function that prepares it for a stream."""

OURS = ("ours", "portable")
"""The arms that have an index; they are timed with every user of a set."""


def arms_here() -> tuple[str, ...]:
    """Returns the names of the arms that can run here: faiss is optional."""
    return tuple(name for name in ARMS if name != "faiss" or find_spec("faiss"))


def index_folder(stream: Stream) -> Path:
    """Returns the folder of a stream's index."""
    return Path(stream.folder) / "index"


def build_index(stream: Stream) -> float:
    """Builds the index of a stream and compiles the code of both forms. Returns the seconds of the build."""
    from models.ranking import SourceIndex

    sources = stream.read_sources()
    SourceIndex.build(sources[:1_000])  # code that is not on disk yet is compiled here
    start = time.perf_counter()
    index = SourceIndex.build(sources)
    seconds = time.perf_counter() - start
    index.save(index_folder(stream))
    users = np.resize(sources, (1_000, stream.dimensions))
    nothing = csr_matrix((1_000, len(sources)), dtype=np.int8)
    for name in OURS:
        ARMS[name](stream)(users, nothing, 10)
    return seconds
