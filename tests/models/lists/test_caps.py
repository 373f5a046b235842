"""Caps and the lowest score against a slow greedy reference over the whole ranking."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from conf.settings import ListSettings
from models.arrays.ids import IdMap
from models.lists import caps
from models.lists.candidates import Candidates
from models.lists.caps import best_lists
from models.ranking import SourceIndex, rank_top_n


def catalogue_of(factors: np.ndarray, categories: np.ndarray, owners: np.ndarray) -> Candidates:
    ids = IdMap.of(pa.array(np.arange(len(factors))), "int64")
    return Candidates(ids, SourceIndex.build(factors), categories.astype(np.int32), owners.astype(np.int32))


def greedy(candidates: Candidates, users: np.ndarray, exclude: csr_matrix, limits: ListSettings) -> list[list[int]]:
    """Each user's whole ranking, walked in Python."""
    ranked = rank_top_n(candidates.index, users, len(candidates), exclude=exclude)
    lists = []
    for ids, scores in zip(ranked.ids, ranked.scores, strict=True):
        kept: list[int] = []
        for source, score in zip(ids, scores, strict=True):
            same = [
                sum(codes[k] == codes[source] for k in kept) if codes[source] >= 0 else 0
                for codes in (candidates.categories, candidates.owners)
            ]
            fits = all(
                cap is None or used < cap
                for cap, used in zip((limits.max_per_category, limits.max_per_owner), same, strict=True)
            )
            good = limits.min_score is None or score >= limits.min_score
            if source >= 0 and len(kept) < limits.n and fits and good:
                kept.append(int(source))
        lists.append(kept)
    return lists


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 8),
    st.none() | st.integers(1, 3),
    st.none() | st.integers(1, 3),
    st.none() | st.floats(-1, 2),
    st.integers(1, 200),
)
def test_rules_keep_lists_exact(
    seed: int, n: int, per_category: int | None, per_owner: int | None, min_score: float | None, fetched: int
) -> None:
    draw = np.random.default_rng(seed)
    users, sources = draw.standard_normal((7, 4)).astype(np.float32), draw.standard_normal((60, 4)).astype(np.float32)
    candidates = catalogue_of(sources, draw.integers(-1, 3, 60), draw.integers(-1, 10, 60))
    exclude = csr_matrix((draw.random((7, 60)) < 0.2).astype(np.int8))
    limits = ListSettings(n=n, max_per_category=per_category, max_per_owner=per_owner, min_score=min_score)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(caps, "_FETCHED", fetched)
        found = best_lists(candidates, users, exclude, limits)
    assert [[int(i) for i in row if i >= 0] for row in found.ids] == greedy(candidates, users, exclude, limits)
    assert np.array_equal(np.isneginf(found.scores), found.ids < 0)


def test_a_capped_catalogue_is_searched_to_its_end() -> None:
    factors = np.arange(100, 0, -1, dtype=np.float32)[:, None]  # source 0 is the best of all
    categories = np.zeros(100)
    categories[[50, 99]] = [1, -1]  # one of another category, one of none
    candidates = catalogue_of(factors, categories, np.full(100, -1))
    limits = ListSettings(n=4, max_per_category=1)
    found = best_lists(candidates, np.ones((1, 1), np.float32), csr_matrix((1, 100)), limits)
    assert found.ids.tolist() == [[0, 50, 99, -1]]


def test_a_list_longer_than_the_catalogue_is_padded() -> None:
    candidates = catalogue_of(np.ones((3, 1), np.float32), np.zeros(3), np.zeros(3))
    found = best_lists(candidates, np.ones((2, 1), np.float32), csr_matrix((2, 3)), ListSettings(n=5))
    assert found.ids.tolist() == [[0, 1, 2, -1, -1]] * 2
