"""Interactions → CSR: values, order, and broken promises."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf.ids import IdKind
from models.errors import BadIds, BadInteractions
from models.training import matrix
from models.training.matrix import fill_matrix, scan_ids
from tests.models.worlds import ids_of, interactions_of, written

ROWS = [
    (1, 10, 2.0),  # two files below split user 1 between them
    (1, 30, 0.5),
    (2, 20, 1.0),
    (7, 10, 4.0),
]
DENSE = [[2.0, 0.0, 0.5], [0.0, 1.0, 0.0], [4.0, 0.0, 0.0]]


@pytest.mark.parametrize("kind", ["int64", "string"])
def test_files_are_read_by_name_and_users_may_span_them(tmp_path: Path, kind: IdKind) -> None:
    table = interactions_of(ROWS, kind)
    dataset = written(tmp_path, table.slice(0, 1), table.slice(1, 2), table.slice(3))
    shuffled = ds.dataset([str(tmp_path / f"part-0000{n}.parquet") for n in (2, 0, 1)], format="parquet")
    for given_dataset in (dataset, shuffled):
        users, sources = scan_ids(given_dataset, kind)
        assert users.to_arrow().equals(ids_of([1, 2, 7], kind))
        assert sources.to_arrow().equals(ids_of([10, 20, 30], kind))
        weights = fill_matrix(given_dataset, users, sources)
        assert weights.toarray().tolist() == DENSE
        assert (weights.data.dtype, weights.indices.dtype, weights.indptr.dtype) == (np.float32, np.int32, np.int32)


@given(st.dictionaries(st.tuples(st.integers(-5, 40), st.integers(0, 9)), st.floats(0.125, 8, width=16), min_size=1))
def test_any_batching_gives_the_same_matrix(pairs: dict[tuple[int, int], float]) -> None:
    rows = [(user, source, weight) for (user, source), weight in sorted(pairs.items())]
    names_u, names_s = sorted({u for u, _ in pairs}), sorted({s for _, s in pairs})
    dense = np.zeros((len(names_u), len(names_s)))
    for user, source, weight in rows:
        dense[names_u.index(user), names_s.index(source)] = weight
    table = interactions_of(rows)
    for size in (1, 3, 1000):
        batches = [batch for start in range(0, len(rows), size) for batch in table.slice(start, size).to_batches()]
        dataset = ds.dataset(pa.Table.from_batches(batches))
        users, sources = scan_ids(dataset, "int64")
        assert np.array_equal(fill_matrix(dataset, users, sources).toarray(), dense)


def test_many_distinct_sources_are_merged_on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix, "_MERGE_AFTER", 3)
    rows = [(user, source, 1.0) for user in range(20) for source in range(user, user + 4)]
    dataset = ds.dataset([ds.dataset(interactions_of(rows[at : at + 4])) for at in range(0, len(rows), 4)])
    _, sources = scan_ids(dataset, "int64")
    assert sources.to_arrow().to_pylist() == list(range(23))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([(2, 1, 1.0), (1, 1, 1.0)], "sorted by user_id"),  # users descend
        ([(1, 1, 1.0), (2, 1, 1.0), (1, 2, 1.0)], "sorted by user_id"),  # a user comes back
        ([(1, 2, 1.0), (1, 1, 1.0)], "source_id do not ascend"),  # sources of a user descend
        ([(1, 1, 1.0), (1, 1, 1.0)], "one row per"),  # a pair twice
        ([(1, 1, 0.0)], "positive"),  # no interaction
        ([(1, 1, float("nan"))], "positive"),  # no number
        ([(1, 1, float("inf"))], "positive"),  # no number
    ],
)
def test_broken_promises_are_named(rows: list[tuple[int, int, float]], message: str, tmp_path: Path) -> None:
    dataset = written(tmp_path, interactions_of(rows))
    with pytest.raises(BadInteractions, match=message):
        fill_matrix(dataset, *scan_ids(dataset, "int64"))


def test_other_kinds_of_ids_are_refused() -> None:
    with pytest.raises(BadInteractions, match="user_id of type string"):
        scan_ids(ds.dataset(interactions_of(ROWS)), "string")
    holed = interactions_of(ROWS).set_column(1, "source_id", pa.array([1, None, 2, 3]))
    with pytest.raises(BadIds, match="null"):
        scan_ids(ds.dataset(holed), "int64")
