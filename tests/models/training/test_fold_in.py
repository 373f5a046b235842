"""Vectors of a former training for users who came after it."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from scipy.sparse import csr_matrix

from conf import contract
from conf.ids import IdKind
from conf.training import AlsSettings
from models.arrays.arrow import factor_matrix
from models.arrays.ids import IdMap
from models.errors import BadFactors, BadInteractions
from models.training import fold_in as module
from models.training import matrix
from models.training.confidences import Constants, confidences_of
from models.training.fold_in import FoldIn
from models.training.matrix import fill_matrix, scan_ids
from models.training.train import Embeddings, train
from tests.models.worlds import factor_tables, ids_of, interactions_of, normal_equations, planted, written

SETTINGS = AlsSettings(factors=4, iterations=60, threads=1, regularization=0.1)
Row = tuple[int, int, float]


def rows_of(users: int, seed: int, first: int = 0) -> list[Row]:
    """Interactions of users first, first + 1, … with sources 0 … 29, of uneven weights."""
    weights, _ = planted(users=users, sources=30, seed=seed)
    drawn = np.random.default_rng(seed).lognormal(size=weights.nnz)
    pairs = zip(*weights.nonzero(), drawn, strict=True)
    return [(first + int(user), int(source), float(weight)) for user, source, weight in pairs]


def model(rows: list[Row], kind: IdKind = "int64") -> tuple[Embeddings, FoldIn, ds.Dataset]:
    """A training, what folds into it as a later run makes it from tables and JSON, and the interactions."""
    interactions = ds.dataset(interactions_of(rows, kind))
    found = train(interactions, SETTINGS, kind)
    told = json.loads(json.dumps(found.stats.to_json()))
    users = np.bincount([source for _, source, _ in rows])
    catalogue = [*np.flatnonzero(users), 99]  # 99 has no interactions
    counted = pa.table({"source_id": ids_of(catalogue, kind), "users": [*users[users > 0], 0]})
    _, factors = factor_tables(found)
    return (
        found,
        FoldIn.read(factors, ds.dataset(counted), Constants(**told["constants"]), kind, threads=1),
        interactions,
    )


def test_a_user_of_the_training_gets_the_trained_factors() -> None:
    found, fold, interactions = model(rows_of(200, seed=1))
    factors = fold.factors(fill_matrix(interactions, found.users, found.sources))
    assert np.allclose(factors, found.user_factors, atol=2e-3)
    assert np.abs(factors).max() > 0.1


def test_confidences_are_those_of_the_training_bit_for_bit() -> None:
    found, fold, interactions = model(rows_of(50, seed=2))
    weights = fill_matrix(interactions, found.users, found.sources)
    trained = confidences_of(weights.copy(), SETTINGS)
    some = [3, 17, 40]
    later = fold.constants.confidences_of(weights[some], fold.source_counts)
    assert np.array_equal(later.toarray(), trained[some].toarray())


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_it_is_the_dense_solution_of_the_normal_equations(seed: int) -> None:
    found, fold, _ = model(rows_of(60, seed))
    weights = csr_matrix((np.random.default_rng(seed).random((5, len(found.sources))) < 0.3).astype(np.float32))
    counts = weights.getnnz(axis=1)[:, None] ** 0.4 * fold.source_counts**0.4
    confidences = np.where(weights.toarray() > 0, 1 + fold.constants.confidence_per_weight / counts, 0)
    expected = [normal_equations(row, found.source_factors, fold.constants.regularization) for row in confidences]
    assert np.allclose(fold.factors(weights), expected, atol=1e-4)


def test_the_unit_of_weights_is_that_of_the_training() -> None:
    found, fold, interactions = model(rows_of(60, seed=1))
    once = fill_matrix(interactions, found.users, found.sources)
    scaled = once.copy()
    scaled.data *= np.float32(100)
    assert not np.allclose(fold.factors(once), fold.factors(scaled), atol=1e-2)


@pytest.mark.parametrize("kind", ["int64", "string"])
@pytest.mark.parametrize("rows", [1, 7, 2**18])
def test_users_who_came_later_are_streamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: IdKind, rows: int
) -> None:
    found, fold, _ = model(rows_of(60, seed=1), kind)
    monkeypatch.setattr(module, "_ROWS", rows)
    monkeypatch.setattr(matrix, "_BATCH", 10)
    known, late = rows_of(60, seed=1), rows_of(25, seed=3, first=60)
    strangers = [(70, 500, 3.0), (90, 500, 1.0), (91, 501, 2.0)]  # sources that the training did not know
    table = interactions_of(sorted(known + late + strangers), kind)
    interactions = written(tmp_path, table.slice(0, 333), table.slice(333))
    batches = list(fold.new_users(interactions, found.users))
    assert all(batch.schema == contract.user_factors(kind) for batch in batches)
    assert (len(batches) >= 5) == (rows < 2**18)
    made = pa.Table.from_batches(batches)
    expected = ds.dataset(interactions_of(late, kind))
    users, _ = scan_ids(expected, kind)
    assert made["user_id"].combine_chunks().equals(users.to_arrow())  # 90 and 91 have nothing that is known
    factors = fold.factors(fill_matrix(expected, users, found.sources))
    assert np.allclose(factor_matrix(made["factors"].combine_chunks(), 4), factors, atol=1e-5)


def test_without_new_users_there_are_no_rows() -> None:
    found, fold, interactions = model(rows_of(60, seed=1))
    assert list(fold.new_users(interactions, found.users)) == []


def test_interactions_that_are_not_sorted_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROWS", 2)
    _, fold, _ = model(rows_of(60, seed=1))
    rows = [(900, 1, 1.0), (900, 2, 1.0), (901, 1, 1.0), (902, 1, 1.0), (900, 3, 1.0), (901, 3, 1.0)]
    with pytest.raises(BadInteractions, match="not sorted by user_id"):
        list(fold.new_users(ds.dataset(interactions_of(rows)), IdMap(np.arange(60))))


def test_sources_of_another_run_are_refused() -> None:
    found, fold, _ = model(rows_of(60, seed=1))
    other = ds.dataset(pa.table({"source_id": [1, 2], "users": [5, 5]}))
    with pytest.raises(BadFactors, match=r"28 of 30 sources .* of one run"):
        FoldIn.read(factor_tables(found)[1], other, fold.constants, "int64")
