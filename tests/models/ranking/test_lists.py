"""Keys in the order of scores, and lists that keep the best of whatever comes."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models.ranking.compiled import compiled
from models.ranking.lists import BestSoFar, key_of, offer, raise_bar, row_of, score_of

scores = st.floats(-(2.0**127), 2.0**127, width=32) | st.sampled_from([0.0, -0.0, 1.0, -1.0])


@compiled
def _offer_all(lists: BestSoFar, found: np.ndarray, rows: np.ndarray) -> None:
    for place in range(len(rows)):
        offer(lists, 0, found[place], rows[place])


@settings(deadline=None)
@given(scores, st.integers(0, 2**31 - 2), scores, st.integers(0, 2**31 - 2))
def test_keys_order_by_score_then_by_smaller_row(a: float, row_a: int, b: float, row_b: int) -> None:
    left, right = key_of(np.float32(a), row_a), key_of(np.float32(b), row_b)
    assert (left > right) == ((a, -row_a) > (b, -row_b))
    assert (score_of(np.uint64(left)), row_of(np.uint64(left))) == (a, row_a)
    assert left > 0


@settings(deadline=None)
@given(st.lists(scores, max_size=300), st.integers(1, 120), st.integers(0, 2**32 - 1))
def test_a_list_keeps_the_best_in_whatever_order_they_come(values: list[float], n: int, seed: int) -> None:
    rows = np.random.default_rng(seed).permutation(len(values))
    found = np.array(values, np.float32)[rows] if values else np.empty(0, np.float32)
    lists = BestSoFar.empty(1, n)
    _offer_all(lists, found, rows)
    raise_bar(lists, 0)
    ids, best = np.full((1, n), -1, np.int32), np.full((1, n), -np.inf, np.float32)
    lists.write(np.zeros(1, np.int64), ids, best)
    expected = sorted(range(len(values)), key=lambda row: (-values[row], row))[:n]
    assert ids[0].tolist() == expected + [-1] * (n - len(expected))
    assert best[0, : len(expected)].tolist() == [values[row] for row in expected]
    if len(values) >= n:
        assert lists.least[0] == key_of(np.float32(values[expected[-1]]), expected[-1])
