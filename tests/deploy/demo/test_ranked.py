"""Lists as arrays of positions, against plain Python."""

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.demo.ranked import Entries, ListsError, lists_of_ranking

_USERS, _SOURCES = 6, 9
_IDS = pa.array([100 + source for source in range(_SOURCES)])
_sources = st.integers(100, 99 + _SOURCES)
_sets = st.lists(st.sets(_sources), min_size=_USERS, max_size=_USERS)
_lists = st.lists(st.lists(_sources, unique=True), min_size=_USERS, max_size=_USERS)


def _table(lists: list[list[int]]) -> pa.Table:
    return pa.table({"user_id": list(range(len(lists))), "source_ids": pa.array(lists, pa.list_(pa.int64()))})


def _ndcg(ranked: list[int], truth: set[int], k: int) -> float:
    gain = sum(1 / math.log2(rank + 2) for rank, source in enumerate(ranked[:k]) if source in truth)
    return gain / sum(1 / math.log2(rank + 2) for rank in range(min(k, len(truth))))


@given(_lists, _sets, st.integers(1, 12))
def test_scores_are_those_of_plain_python(lists: list[list[int]], truths: list[set[int]], k: int) -> None:
    entries = Entries.of(_table(lists), _IDS, k)
    hits = np.array([int(s) + 100 in truths[u] for u, s in zip(entries.rows, entries.sources, strict=True)], np.bool_)
    counts = np.array([len(truth) for truth in truths])
    judged = [(ranked, truth) for ranked, truth in zip(lists, truths, strict=True) if truth]
    if not judged:
        with pytest.raises(ListsError, match="nothing to judge"):
            entries.score(hits, counts)
        return
    score = entries.score(hits, counts)
    assert score.users == len(judged)
    assert score.ndcg == pytest.approx(np.mean([_ndcg(ranked, truth, k) for ranked, truth in judged]))
    assert score.recall == pytest.approx(
        np.mean([len(truth & set(ranked[:k])) / len(truth) for ranked, truth in judged])
    )


@settings(max_examples=50)
@given(st.permutations(_IDS.to_pylist()), _sets, st.integers(1, 12))
def test_a_ranking_without_exclusions(ranking: list[int], excluded: list[set[int]], n: int) -> None:
    pairs = [(user, source) for user, sources in enumerate(excluded) for source in [*sources, 555]]  # 555: not ranked
    exclusions = pa.table({"user_id": [user for user, _ in pairs], "source_id": [source for _, source in pairs]})
    lists = lists_of_ranking(pa.array(ranking), pa.array(range(_USERS)), exclusions, n)
    expected = [[source for source in ranking if source not in sources][:n] for sources in excluded]
    assert lists["source_ids"].to_pylist() == expected


def test_blocks_of_users_make_no_difference() -> None:
    users = pa.array([f"u{i}" for i in range(2500)])
    exclusions = pa.table({"user_id": users, "source_id": [f"s{i % 3}" for i in range(2500)]})
    lists = lists_of_ranking(pa.array(["s0", "s1", "s2"]), users, exclusions, 1)["source_ids"].to_pylist()
    assert lists == [["s1"] if i % 3 == 0 else ["s0"] for i in range(2500)]


def test_a_source_twice_in_a_list_is_not_judged() -> None:
    with pytest.raises(ListsError, match="twice"):
        Entries.of(_table([[100], [101, 101]]), _IDS, 2)
