"""The fallback list without what a user may not have: against one user and one source after the other."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf.ids import IdKind
from models.lists.fallback import Fallback
from tests.models.worlds import ids_of

POPULAR = st.lists(st.integers(0, 15), unique=True, max_size=10)
EXCLUDED = st.lists(st.lists(st.integers(0, 20), max_size=25), max_size=6)  # repeated, and not in the list, too


@pytest.mark.parametrize("kind", ["int64", "string"])
@given(popular=POPULAR, excluded=EXCLUDED, n=st.integers(1, 12))
def test_the_first_others_in_their_order(kind: IdKind, popular: list[int], excluded: list[list[int]], n: int) -> None:
    scores = np.arange(len(popular), 0, -1).astype(np.float32)
    fallback = Fallback(ids_of(popular, kind), scores)
    offsets = np.cumsum([0, *map(len, excluded)]).astype(np.int32)
    flat = ids_of([source for sources in excluded for source in sources], kind)
    lists, found = fallback.without(pa.ListArray.from_arrays(pa.array(offsets), flat), n, kind)
    free = [[place for place, source in enumerate(popular) if source not in sources][:n] for sources in excluded]
    assert lists.to_pylist() == [ids_of([popular[place] for place in places], kind).to_pylist() for places in free]
    assert found.to_pylist() == [[float(scores[place]) for place in places] for places in free]


def test_users_who_have_nothing_barred() -> None:
    nobody: Any = pa.array([None, []], pa.list_(pa.int64()))
    lists, _ = Fallback(ids_of([3, 1, 2], "int64"), np.array([3, 2, 1], np.float32)).without(nobody, 2, "int64")
    assert lists.to_pylist() == [[3, 1], [3, 1]]


@pytest.mark.parametrize("kind", ["int64", "string"])
@given(popular=POPULAR)
def test_json_and_back(kind: IdKind, popular: list[int]) -> None:
    written = Fallback(ids_of(popular, kind), (np.arange(len(popular), 0, -1) / 3).astype(np.float32))
    read = Fallback.of_json(written.to_json(), kind)
    assert read.source_ids.equals(written.source_ids)
    assert (read.scores.dtype, read.scores.tolist()) == (np.float32, written.scores.tolist())


def test_the_file_is_as_it_always_was() -> None:
    fallback = Fallback(ids_of([2**62, 3], "int64"), np.array([2, 1], np.float32))
    assert fallback.to_json() == b'{"source_ids": [4611686018427387904, 3], "scores": [2.0, 1.0]}'


@pytest.mark.parametrize("damaged", [b"", b"[", b"{}", b'{"source_ids": ["a"], "scores": [1]}'])
def test_another_file_is_refused(damaged: bytes) -> None:
    with pytest.raises((ValueError, KeyError)):
        Fallback.of_json(damaged, "int64")
