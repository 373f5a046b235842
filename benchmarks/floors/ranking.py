"""The floor of `topn`: all scores by a matrix product, or this project's exact ranking where that is quicker."""

import numpy as np
import pyarrow.compute as pc
import pyarrow.dataset as ds
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from benchmarks.floors.finished_run import FinishedRun
from benchmarks.floors.floor import CORES, Floor, best_seconds
from models.arrays.arrow import numpy_of
from models.ranking import SourceIndex, rank_top_n

_Factors = NDArray[np.float32]
_BLOCK = 1_024
"""Users, and sources, of one matrix product."""
_CALL = 2**14
"""Users of one call of the exact ranking."""


def ranking_floor(run: FinishedRun) -> Floor:
    """Returns the seconds to read the factors of the run and to rank every source for every user, once.

    Nothing is excluded, capped or written.
    """
    reading = best_seconds(lambda: [_factors(run.table(name)) for name in ("user_factors", "source_factors")])
    users, sources = _factors(run.table("user_factors")), _factors(run.table("source_factors"))
    arms = {
        "matrix product": _product_seconds(users, sources),
        "exact ranking": _exact_seconds(users, sources, min(run.settings.lists.n, len(sources))),
    }
    quicker = min(arms, key=lambda name: arms[name])
    return Floor(("topn",), {"reading": reading, quicker: arms.pop(quicker)}, arms)


def _factors(table: ds.Dataset) -> _Factors:
    column = table.to_table(["factors"])["factors"]
    factors: _Factors = numpy_of(pc.list_flatten(column)).reshape(len(column), -1)
    return factors


def _product_seconds(users: _Factors, sources: _Factors) -> float:
    out = np.empty(_BLOCK * _BLOCK, np.float32)

    def multiply() -> None:
        for first in range(0, len(users), _BLOCK):
            some = users[first : first + _BLOCK]
            for start in range(0, len(sources), _BLOCK):
                others = sources[start : start + _BLOCK]
                np.matmul(some, others.T, out=out[: len(some) * len(others)].reshape(len(some), len(others)))

    with threadpool_limits(CORES, "blas"):
        return best_seconds(multiply)


def _exact_seconds(users: _Factors, sources: _Factors, n: int) -> float:
    """Returns the seconds on all cores: those on one ÷ cores, because users are independent of each other."""

    def rank(some: _Factors) -> None:
        index = SourceIndex.build(sources)
        for first in range(0, len(some), _CALL):
            rank_top_n(index, some[first : first + _CALL], n)

    with threadpool_limits(1, "blas"):
        rank(users[:_BLOCK])  # code that is not on disk yet is compiled here
        return best_seconds(lambda: rank(users)) / CORES
