"""Interactions (Parquet) → a sparse matrix in two streaming passes, at 8 bytes per interaction.

The first pass reads the ids, the second fills arrays that were allocated once. Neither creates a Python object per row.
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from conf.ids import IdKind
from models.arrays.arrow import Column, numpy_of
from models.arrays.ids import IdKeys, IdMap, id_keys, id_type, merge_keys
from models.arrays.streamed import streamed
from models.errors import BadInteractions

_BATCH = 2**17
_MERGE_AFTER = 2**20


def scan_ids(interactions: ds.Dataset, kind: IdKind) -> tuple[IdMap, IdMap]:
    """Returns the users and the sources of the interactions. Raises BadInteractions unless they are sorted by user."""
    users, sources = [_no_keys(kind)], [_no_keys(kind)]
    for file, batch in interaction_batches(interactions, ["user_id", "source_id"], kind):
        keys = id_keys(batch["user_id"], kind)
        new = _starts(keys, users[-1], file)
        if new.any():  # otherwise the batch continues the last user
            users.append(keys[new])
        sources.append(id_keys(batch["source_id"].unique(), kind))
        if sum(map(len, sources[1:])) > max(_MERGE_AFTER, len(sources[0])):
            sources = [merge_keys(sources)]
    return IdMap(np.concatenate(users)), IdMap(merge_keys(sources))


def fill_matrix(interactions: ds.Dataset, users: IdMap, sources: IdMap) -> csr_matrix:
    """Returns weights as float32 CSR (users, sources) with int32 indices.

    Raises BadInteractions unless (user, source) ascend strictly and every weight is a positive number.
    """
    size = interactions.count_rows()
    data, indices = np.empty(size, np.float32), np.empty(size, np.int32)
    indptr = np.full(len(users) + 1, size, np.int32)
    at, row, last_user, last_source = 0, 0, users.values[:0], -1
    for file, batch in interaction_batches(interactions, ["user_id", "source_id", "weight"], users.kind):
        keys = id_keys(batch["user_id"], users.kind)
        new = _starts(keys, last_user, file)
        columns = sources.rows(batch["source_id"])
        _check_pairs(np.diff(columns, prepend=np.int32(last_source))[~new], file)
        starts = np.flatnonzero(new)
        indptr[row : row + len(starts)] = at + starts
        end = at + len(keys)
        indices[at:end], data[at:end] = columns, _weights(batch["weight"], file)
        at, row, last_user, last_source = end, row + len(starts), keys[-1:], int(columns[-1])
    matrix = csr_matrix((data, indices, indptr), shape=(len(users), len(sources)), copy=False)
    matrix.has_canonical_format = True  # just checked; saves scipy's own pass
    return matrix


def interaction_batches(
    interactions: ds.Dataset, columns: list[str], kind: IdKind
) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Returns non-empty batches of contract.interactions with their file. Raises BadInteractions on other columns."""
    for name in ("user_id", "source_id"):
        if name not in interactions.schema.names or interactions.schema.field(name).type != id_type(kind):
            raise BadInteractions(f"interactions need {name} of type {id_type(kind)}, they have {interactions.schema}")
    return streamed(interactions, columns, _BATCH)


def _no_keys(kind: IdKind) -> IdKeys:
    return np.empty(0, np.int64 if kind == "int64" else "S1")


def _starts(keys: IdKeys, before: IdKeys, file: str) -> NDArray[np.bool_]:
    """Returns where a new user starts, given the keys before. Raises BadInteractions when the keys do not ascend."""
    new = np.ones(len(keys), bool)
    new[1:] = keys[1:] != keys[:-1]
    if len(before):
        new[0] = keys[0] != before[-1]
    if np.any(keys[1:] < keys[:-1]) or (len(before) and keys[0] < before[-1]):
        raise BadInteractions(f"interactions are not sorted by user_id in or before {file}; sort them when writing")
    return new


def _check_pairs(steps: NDArray[np.int32], file: str) -> None:
    if np.any(steps <= 0):
        raise BadInteractions(
            f"a user's source_id do not ascend strictly in {file}; write one row per (user, source), sorted by both"
        )


def _weights(column: Column, file: str) -> NDArray[np.float32]:
    weights: NDArray[np.float32] = numpy_of(column).astype(np.float32)
    if not (np.isfinite(weights).all() and (weights > 0).all()):
        raise BadInteractions(f"{file} has weights that are not positive numbers; such pairs are no interactions")
    return weights
