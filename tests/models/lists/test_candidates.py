"""The candidates holds eligible sources with factors, and nothing else."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from numpy.typing import NDArray

from conf import contract
from conf.ids import IdKind
from models.arrays import factors
from models.arrays.arrow import ListColumn, factor_matrix
from models.errors import BadFactors, NoCandidates
from models.lists.candidates import Candidates
from models.lists.fallback import Fallback, fallback_list
from tests.models.worlds import ids_of, written

KINDS = pytest.mark.parametrize("kind", ["int64", "string"])


def sources_of(kind: IdKind) -> pa.Table:
    rows = [
        (4, True, "art", 7, 30, 9.0),  # out of order
        (1, True, None, None, 50, 2.0),  # neither category nor owner known
        (2, False, "art", 7, 99, 9.9),  # popular, not eligible
        (3, True, "zoo", 8, 0, 0.0),  # eligible, without interactions: no factors
        (5, True, "art", 8, 30, 9.5),  # as many users as 4, more weight
        (6, True, "art", 8, 30, 9.0),  # as 4, larger id
    ]
    ids, eligible, category, owners, users, weight = zip(*rows, strict=True)
    owner_ids = [None if o is None else ids_of([o], kind)[0].as_py() for o in owners]
    columns = [ids_of(ids, kind), list(eligible), list(category), owner_ids, list(users), list(weight)]
    schema = contract.sources(kind)
    return pa.Table.from_arrays(
        [pa.array(c, f.type) if isinstance(c, list) else c for c, f in zip(columns, schema, strict=True)], schema=schema
    )


def factors_of(kind: IdKind, numbers: list[int]) -> pa.Table:
    """Source `k` has the factors (k, −k)."""
    columns = [ids_of(numbers, kind), pa.array([[k, -k] for k in numbers], pa.list_(pa.float32()))]
    return pa.Table.from_arrays(columns, schema=contract.source_factors(kind))


@KINDS
def test_eligible_sources_with_factors_come_in_order_of_their_ids(kind: IdKind) -> None:
    halves = pa.concat_tables([factors_of(kind, [5, 6]), factors_of(kind, [1, 2, 4])])
    found = Candidates.build(ds.dataset(halves), sources_of(kind), kind)
    assert found.ids.to_arrow().equals(ids_of([1, 4, 5, 6], kind))
    assert found.categories.tolist()[0] == found.owners.tolist()[0] == -1
    assert found.categories[1] == found.categories[2] == found.categories[3] >= 0
    assert found.owners[2] == found.owners[3] != found.owners[1] >= 0
    original = np.empty((4, 2), np.float32)
    original[found.index.sources.rows] = found.index.sources.factors
    assert original.tolist() == [[1, -1], [4, -4], [5, -5], [6, -6]]


def test_factors_are_read_some_rows_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []

    def counted(lists: ListColumn, dimensions: int) -> NDArray[np.float32]:
        read.append(len(lists))
        return factor_matrix(lists, dimensions)

    monkeypatch.setattr(factors, "_ROWS", 2)
    monkeypatch.setattr(factors, "factor_matrix", counted)
    table = written(tmp_path, factors_of("int64", [5, 6, 1]), factors_of("int64", [2, 4]))
    assert len(Candidates.build(table, sources_of("int64"), "int64")) == 4
    assert read == [2, 1, 2]


@KINDS
def test_a_saved_catalogue_is_mapped(kind: IdKind, tmp_path: Path) -> None:
    built = Candidates.build(ds.dataset(factors_of(kind, [1, 4])), sources_of(kind), kind)
    built.save(tmp_path / "candidates")
    loaded = Candidates.load(tmp_path / "candidates")
    assert isinstance(loaded.index.sources.factors, np.memmap)
    assert loaded.ids.kind == kind
    assert loaded.ids.rows(ids_of([4, 2, 1], kind)).tolist() == [1, -1, 0]
    for name in ("categories", "owners"):
        assert np.array_equal(getattr(loaded, name), getattr(built, name))


def test_nothing_to_recommend_is_an_error() -> None:
    with pytest.raises(NoCandidates, match="none of 5 eligible of 6 sources"):
        Candidates.build(ds.dataset(factors_of("int64", [2, 9])), sources_of("int64"), "int64")


def test_factors_of_different_lengths_are_an_error() -> None:
    mixed = factors_of("int64", [1, 4]).set_column(1, "factors", pa.array([[1.0], [1.0, 2.0]], pa.list_(pa.float32())))
    with pytest.raises(BadFactors, match="dimensions"):
        Candidates.build(ds.dataset(mixed), sources_of("int64"), "int64")


@KINDS
def test_the_fallback_goes_by_users_then_weight_then_id(kind: IdKind) -> None:
    found = fallback_list(sources_of(kind), 10)
    assert found.source_ids.equals(ids_of([1, 5, 4, 6, 3], kind))
    assert found.scores.tolist() == [50, 30, 30, 30, 0]
    assert found.scores.dtype == np.float32
    assert fallback_list(sources_of(kind), 2).source_ids.equals(ids_of([1, 5], kind))


@KINDS
def test_the_fallback_without_what_is_barred(kind: IdKind) -> None:
    fallback = Fallback(ids_of([9, 3, 5], kind), np.array([3, 2, 1], np.float32))
    excluded = pa.array(
        [
            None,  # nothing excluded
            ids_of([3, 3, 100], kind).to_pylist(),  # twice the same, and one that is not in the list
            ids_of([5, 9, 3], kind).to_pylist(),  # everything
        ],
        pa.list_(fallback.source_ids.type),
    )
    sources, scores = fallback.without(excluded, 2, kind)
    assert sources.to_pylist() == [ids_of(row, kind).to_pylist() for row in ([9, 3], [9, 5], [])]
    assert scores.to_pylist() == [[3, 2], [3, 1], []]
