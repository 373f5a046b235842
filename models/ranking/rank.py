"""The walk over the sources, block by block."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from models.errors import BadFactors
from models.ranking.bounds import check_no_overflow, error_of_unit_product, largest_possible, underflow
from models.ranking.index import SourceIndex, check_factors
from models.ranking.kernel import Keys, push_candidates

USER_BLOCK = 512
SOURCE_BLOCK = 1024
"""Approximate scores of a block fill 2 MiB, which stays in a core's cache."""

_LOW = np.uint64(0xFFFFFFFF)


@dataclass(frozen=True, eq=False)
class TopN:
    """Best sources per user, best first: ids int32 (users, n) padded with −1, scores float32 padded with −inf."""

    ids: NDArray[np.int32]
    scores: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class _Exclusions:
    """Barred source rows of each user, ascending."""

    indptr: NDArray[np.int64]
    rows: NDArray[np.int32]


def rank_top_n(
    index: SourceIndex, user_factors: NDArray[np.float32], n: int, *, exclude: csr_matrix | None = None
) -> TopN:
    """The n best sources of each user by inner product, exact; ties by smaller source row.

    user_factors float32 (users, d); exclude (users, sources): its stored entries, whatever their value, are never
    returned. Raises BadFactors on NaN, infinite or overflowing values and on shapes that do not fit.
    """
    users, norms = check_factors(user_factors, "user")
    if n < 1 or users.shape[1] != index.dimensions:
        raise BadFactors(f"n = {n} of user factors {users.shape} with sources of {index.dimensions} factors")
    exclusions = _exclusions(exclude, len(users), len(index))
    check_no_overflow(float(norms.max(initial=0.0)), float(index.norms[0]))
    top = TopN(np.full((len(users), n), -1, np.int32), np.full((len(users), n), -np.inf, np.float32))
    for start in range(0, len(users), USER_BLOCK):
        block = slice(start, start + USER_BLOCK)
        barred = _Exclusions(exclusions.indptr[start : start + USER_BLOCK + 1], exclusions.rows)
        keys = _best_keys(index, users[block], norms[block], min(n, len(index)), barred)
        _unpack(keys, top.ids[block], top.scores[block])
    return top


def _best_keys(
    index: SourceIndex,
    users: NDArray[np.float32],
    norms: NDArray[np.float64],
    n: int,
    barred: _Exclusions,
) -> Keys:
    heaps = np.zeros((len(users), n), np.uint64)
    error = error_of_unit_product(index.dimensions)
    active = np.arange(len(users))
    buffer = np.empty(len(users) * min(SOURCE_BLOCK, len(index)), np.float32)
    for start in range(0, len(index), SOURCE_BLOCK):
        longest = float(index.norms[start])
        # Strictly below: an equal score with a smaller row would still belong to the list.
        active = active[largest_possible(norms[active], longest) >= _scores(heaps[active, 0])]
        if not len(active):
            break
        block = index.factors[start : start + SOURCE_BLOCK]
        some = users if len(active) == len(users) else users[active]
        approximate = buffer[: len(some) * len(block)].reshape(len(some), len(block))
        np.matmul(some, block.T, out=approximate)
        errors = norms[active] * (longest * error) + underflow(index.dimensions)
        rows = index.order[start : start + SOURCE_BLOCK]
        push_candidates(approximate, some, errors, block, rows, barred.indptr, barred.rows, active, heaps)
    return heaps


def _scores(keys: Keys) -> NDArray[np.float32]:
    """Scores of keys; −inf of empty places."""
    ordered = (keys >> np.uint64(32)).astype(np.uint32)
    bits = np.where(ordered >> 31, ordered ^ np.uint32(0x80000000), ~ordered)
    return np.where(keys == 0, np.float32(-np.inf), bits.view(np.float32))


def _unpack(keys: Keys, ids: NDArray[np.int32], scores: NDArray[np.float32]) -> None:
    best_first = np.sort(keys, axis=1)[:, ::-1]
    width = keys.shape[1]
    ids[:, :width] = np.where(best_first == 0, np.int64(-1), (_LOW - (best_first & _LOW)).astype(np.int64))
    scores[:, :width] = _scores(best_first)


def _exclusions(exclude: csr_matrix | None, users: int, sources: int) -> _Exclusions:
    if exclude is None:
        return _Exclusions(np.zeros(users + 1, np.int64), np.empty(0, np.int32))
    if exclude.shape != (users, sources):
        raise BadFactors(f"exclude has shape {exclude.shape}, {users} users and {sources} sources need it to match")
    ascending = exclude.sorted_indices()
    return _Exclusions(ascending.indptr.astype(np.int64), ascending.indices.astype(np.int32, copy=False))
