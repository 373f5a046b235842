"""Id maps: order, round trips, and ids that they refuse."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf.ids import MAX_ID_BYTES
from models.arrays.ids import IdMap, id_keys
from models.errors import BadIds
from tests.support.ids import IDS

INTS = st.integers(-(2**63), 2**63 - 1)


@given(st.lists(IDS), st.lists(IDS))
def test_string_ids_map_to_their_place_in_utf8_order(ids: list[str], asked: list[str]) -> None:
    expected = sorted(set(ids), key=lambda text: text.encode())
    found = IdMap.of(pa.array(ids, pa.string()), "string")
    assert found.to_arrow().to_pylist() == expected
    assert found.to_arrow().type == pa.string()
    place = {name: row for row, name in enumerate(expected)}
    assert found.rows(pa.array(asked + ids, pa.string())).tolist() == [place.get(name, -1) for name in asked + ids]


@given(st.lists(INTS), st.lists(INTS))
def test_int_ids_map_to_their_place(ids: list[int], asked: list[int]) -> None:
    expected = sorted(set(ids))
    found = IdMap.of(pa.array(ids, pa.int64()), "int64")
    assert found.to_arrow().to_pylist() == expected
    place = {name: row for row, name in enumerate(expected)}
    rows = found.rows(pa.array(asked + ids, pa.int64()))
    assert rows.dtype == np.int32
    assert rows.tolist() == [place.get(name, -1) for name in asked + ids]


def test_slices_and_chunks_of_arrow_columns_are_read_where_they_start() -> None:
    names = pa.array(["x", "bb", "a", "ccc", "y"]).slice(1, 3)
    chunks = pa.chunked_array([names, pa.array(["dd"])])
    ids = IdMap.of(chunks, "string")
    assert ids.to_arrow().to_pylist() == ["a", "bb", "ccc", "dd"]
    assert ids.rows(chunks).tolist() == [1, 0, 2, 3]
    assert ids.to_arrow(np.array([3, 0], np.int32)).to_pylist() == ["dd", "a"]


def test_lookups_do_not_confuse_what_is_longer_ends_in_nul_or_is_null() -> None:
    ids = IdMap.of(pa.array(["a", "ab"]), "string")
    assert ids.rows(pa.array(["ab", "abc", "a\0", None, "a"])).tolist() == [1, -1, -1, -1, 0]


def test_what_a_map_cannot_represent_is_refused() -> None:
    with pytest.raises(BadIds, match="NUL"):
        IdMap.of(pa.array(["fine", "cut\0"]), "string")
    with pytest.raises(BadIds, match="null"):
        IdMap.of(pa.array([1, None]), "int64")
    with pytest.raises(BadIds, match=str(MAX_ID_BYTES)):
        IdMap.of(pa.array(["x" * (MAX_ID_BYTES + 1)]), "string")
    with pytest.raises(BadIds, match="same kind"):
        id_keys(pa.array(["1"]), "int64")
    with pytest.raises(BadIds, match="same kind"):
        IdMap.of(pa.array([1]), "int64").rows(pa.array(["1"]))
    with pytest.raises(BadIds, match="ascending"):
        IdMap(np.array([2, 1]))
