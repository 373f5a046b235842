"""Quantiles in one pass: near numpy's, the same in any order, exact at both ends."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from conf import contract
from models.model_card import Shape, norm_shape, score_shape
from models.model_card import shape as module
from models.model_card.shape import PERCENTS, shape_of

NUMBERS = arrays(
    np.float32, st.integers(1, 300), elements=st.floats(-(2.0**60), 2.0**60, width=32, allow_subnormal=False)
)


@settings(max_examples=60)
@given(numbers=NUMBERS, cut=st.integers(0, 300), seed=st.integers(0, 99))
def test_quantiles_are_near_and_do_not_depend_on_order(numbers: np.ndarray, cut: int, seed: int) -> None:
    found = shape_of([numbers[:cut], numbers[cut:]])
    assert found is not None
    exact = np.percentile(numbers, PERCENTS, method="inverted_cdf")
    assert found.count == len(numbers)
    assert np.allclose(found.quantiles, exact, rtol=2.0**-11, atol=1e-30)
    assert (found.quantiles[0], found.quantiles[-1]) == (numbers.min(), numbers.max())
    assert list(found.quantiles) == sorted(found.quantiles)
    assert shape_of([np.random.default_rng(seed).permutation(numbers)]) == found
    assert Shape.from_json(found.to_json()) == found


def test_there_is_none_of_nothing() -> None:
    assert shape_of([]) is None
    assert shape_of([np.empty(0, np.float32)]) is None


@pytest.mark.parametrize("kept", [{"count": 1, "quantiles": [1.0]}, {"count": 1}, {"count": 1, "quantiles": None}])
def test_what_is_no_shape_is_refused(kept: dict[str, object]) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        Shape.from_json(kept)


def test_scores_are_those_of_personal_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BATCH", 2)
    rows = [
        ([1, 2, 3], [0.5, 0.25, 0.125], True),
        ([1, 2], [9_000.0, 8_000.0], False),  # users of popular sources, not scores
        ([], [], True),
        ([4], [-1.0], True),
    ]
    columns = [range(len(rows)), *zip(*rows, strict=True)]
    table = pa.Table.from_arrays(
        [pa.array(list(c), t) for c, t in zip(columns, contract.lists("int64").types, strict=True)],
        schema=contract.lists("int64"),
    )
    found = score_shape(kept(tmp_path, table))
    assert found is not None
    assert (found.count, found.quantiles[0], found.quantiles[-1]) == (4, -1.0, 0.5)
    assert score_shape(kept(tmp_path / "popular", table.slice(1, 1))) is None


def test_norms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BATCH", 3)
    vectors = np.random.default_rng(1).standard_normal((11, 5)).astype(np.float32)
    schema = contract.user_factors("int64")
    table = pa.Table.from_arrays(
        [pa.array(range(11), schema[0].type), pa.array(list(vectors), schema[1].type)], schema=schema
    )
    found = norm_shape(kept(tmp_path, table))
    norms = np.linalg.norm(vectors, axis=1)
    assert found is not None
    assert np.allclose(found.quantiles, np.percentile(norms, PERCENTS, method="inverted_cdf"), rtol=1e-3)


def kept(folder: Path, table: pa.Table) -> ds.Dataset:
    folder.mkdir(exist_ok=True)
    pq.write_table(table, folder / "part-0.parquet")
    return ds.dataset(folder, format="parquet")
