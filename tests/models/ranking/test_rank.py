"""Exact top-N against brute force in float64, by every form of the walk that this CPU can run."""

import gc
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from models.errors import BadFactors
from models.ranking import SourceIndex, TopN, forms, rank, rank_top_n, seeds, walk_portable
from models.ranking.forms import FORMS, PORTABLE
from models.ranking.rank import rank_counted
from tests.models.ranking.worlds import SHAPES, World, assert_exact, assert_same, factors, worlds

properties = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest.fixture(params=sorted(FORMS))
def walk(request: pytest.FixtureRequest) -> forms.Walk:
    return FORMS[request.param]


@pytest.fixture
def few_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clusters of 2 users on, so that small worlds have seeds too."""
    monkeypatch.setattr(seeds, "_USERS_PER_CLUSTER", 2)
    monkeypatch.setattr(seeds, "_SOURCES_PER_SEED", 1)


def ranked(world: World, walk: forms.Walk) -> TopN:
    users, sources, exclude, n = world
    return rank_counted(SourceIndex.build(sources), users, n, exclude, walk)[0]


@settings(properties, max_examples=150)
@given(world=worlds())
def test_lists_are_those_of_brute_force(world: World, walk: forms.Walk) -> None:
    users, sources, exclude, n = world
    assert_exact(ranked(world, walk), users, sources, n, exclude)


@settings(properties, max_examples=100)
@given(world=worlds(most_sources=900))
def test_lists_with_seeds_are_those_of_brute_force(world: World, walk: forms.Walk, few_seeds: None) -> None:
    users, sources, exclude, n = world
    assert_exact(ranked(world, walk), users, sources, n, exclude)


@settings(properties, max_examples=60)
@given(world=worlds(most_sources=900), user_block=st.integers(1, 60), block=st.integers(1, 8), cut=st.floats(0, 1))
def test_blocks_calls_seeds_and_the_order_of_users_change_nothing(
    world: World, user_block: int, block: int, cut: float, walk: forms.Walk, few_seeds: None
) -> None:
    users, sources, exclude, n = world
    index = SourceIndex.build(sources)
    shuffled = np.random.default_rng(user_block).permutation(len(users))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rank, "USER_BLOCK", user_block)
        patch.setattr(walk_portable, "SOURCES", 64 * block)
        calls = np.split(shuffled, [round(cut * len(users))])
        parts = [rank_counted(index, users[some], n, exclude[some], walk)[0] for some in calls]
        patch.setattr(seeds, "_USERS_PER_CLUSTER", 10**9)
        whole = rank_counted(SourceIndex.build(sources), users, n, exclude, PORTABLE)[0]  # no clusters of these calls
    together = TopN(np.concatenate([part.ids for part in parts]), np.concatenate([part.scores for part in parts]))
    assert_same(together, TopN(whole.ids[shuffled], whole.scores[shuffled]))


def test_clusters_are_kept_from_call_to_call_and_found_anew_when_many_users_have_come(
    walk: forms.Walk, few_seeds: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = np.random.default_rng(3)
    begun: list[str] = []
    found: list[int] = []
    sources = factors(draw, 2000, 16, "normal")
    index, best_of_centres = SourceIndex.build(sources), seeds._best_of_centres

    def count(*arguments: Any) -> Any:
        found.append(len(begun))
        return best_of_centres(*arguments)

    monkeypatch.setattr(seeds, "_best_of_centres", count)
    for shape in ("normal", "clusters", "skewed norms", "normal", "clusters"):  # others every time
        begun.append(shape)
        users, exclude = factors(draw, 50, 16, shape), csr_matrix((50, 2000), dtype=np.int8)
        assert_exact(rank_counted(index, users, 10, exclude, walk)[0], users, sources, 10, exclude)
    assert found == [1, 4]  # by 50 users, then by four times as many
    kept = weakref.ref(index)
    del index
    gc.collect()
    assert kept() is None


@pytest.mark.parametrize("shape_of_sources", SHAPES)
@pytest.mark.parametrize("shape_of_users", ["normal", "clusters", "skewed norms"])
def test_a_catalogue_of_many_panels(shape_of_users: str, shape_of_sources: str, walk: forms.Walk) -> None:
    draw = np.random.default_rng(5)
    users, sources = factors(draw, 200, 24, shape_of_users), factors(draw, 3000, 24, shape_of_sources)
    exclude = csr_matrix((draw.random((200, 3000)) < 0.05).astype(np.int8))
    assert_exact(ranked((users, sources, exclude, 30), walk), users, sources, 30, exclude)


def test_scores_that_float32_products_lose(walk: forms.Walk) -> None:
    draw = np.random.default_rng(9)
    users, sources = factors(draw, 100, 24, "normal"), factors(draw, 3000, 24, "normal")
    users[:, [0, -1]], sources[:, [0, -1]] = [3e3, 3e3], [3e3, -3e3]  # 9e6 + what decides − 9e6
    exclude = csr_matrix((100, 3000), dtype=np.int8)
    assert_exact(ranked((users, sources, exclude, 30), walk), users, sources, 30, exclude)


def test_most_pairs_of_skewed_sources_are_not_looked_at(walk: forms.Walk) -> None:
    draw = np.random.default_rng(6)
    users, sources = factors(draw, 512, 16, "clusters"), factors(draw, 20_000, 16, "skewed norms")
    _, counts = rank_counted(SourceIndex.build(sources), users, 10, None, walk)
    assert 0 < counts.candidates < counts.pairs < 0.2 * len(users) * len(sources)


def test_ties_go_to_the_smaller_row(walk: forms.Walk) -> None:
    world = np.ones((200, 3), np.float32), np.ones((2000, 3), np.float32), csr_matrix((200, 2000), dtype=np.int8), 5
    found = ranked(world, walk)
    assert found.ids.tolist() == [[0, 1, 2, 3, 4]] * 200
    assert found.scores.tolist() == [[3.0] * 5] * 200


def test_a_user_who_has_seen_all_that_the_others_get(walk: forms.Walk) -> None:
    draw = np.random.default_rng(7)
    users, sources = np.repeat(factors(draw, 1, 8, "normal"), 256, axis=0), factors(draw, 4000, 8, "skewed norms")
    exclude = np.zeros((256, 4000), np.int8)
    exclude[0, np.argsort(-(sources @ users[0]))[:3990]] = 1
    assert_exact(ranked((users, sources, csr_matrix(exclude), 20), walk), users, sources, 20, csr_matrix(exclude))


def test_users_whose_scores_are_all_zero_get_the_smallest_rows(walk: forms.Walk) -> None:
    sources = factors(np.random.default_rng(8), 500, 4, "normal")
    users = np.array([[0, 0, 0, 0], [1e-45, 0, 0, 0]], np.float32) * np.float32([[1], [0.1]])
    exclude = csr_matrix((np.ones(2, np.int8), ([0, 0], [1, 499])), shape=(2, 500))
    found, counts = rank_counted(SourceIndex.build(sources), users, 3, exclude, walk)
    assert found.ids.tolist() == [[0, 2, 3], [0, 1, 2]]
    assert found.scores.tolist() == [[0.0] * 3] * 2
    assert counts.pairs == 0


def test_stored_entries_exclude_whatever_their_value_and_order() -> None:
    users, sources = np.ones((1, 1), np.float32), np.array([[3], [2], [1]], np.float32)
    exclude = csr_matrix((np.array([0, 5]), np.array([2, 0]), np.array([0, 2])), shape=(1, 3))
    found = rank_top_n(SourceIndex.build(sources), users, 3, exclude=exclude)
    assert found.ids.tolist() == [[1, -1, -1]]
    assert exclude.indices.tolist() == [2, 0]  # the argument is not sorted in place


def test_no_users_and_users_who_may_see_nothing(walk: forms.Walk) -> None:
    index = SourceIndex.build(np.ones((3, 2), np.float32))
    assert rank_counted(index, np.empty((0, 2), np.float32), 4, None, walk)[0].ids.shape == (0, 4)
    nothing = rank_counted(index, np.ones((1, 2), np.float32), 2, csr_matrix(np.ones((1, 3))), walk)[0]
    assert nothing.ids.tolist() == [[-1, -1]]


def test_a_loaded_index_is_mapped_and_ranks_alike(tmp_path: Path, walk: forms.Walk) -> None:
    draw = np.random.default_rng(1)
    users, sources = factors(draw, 9, 8, "normal"), factors(draw, 700, 8, "skewed norms")
    index = SourceIndex.build(sources)
    index.save(tmp_path / "index")
    loaded = SourceIndex.load(tmp_path / "index")
    assert all(isinstance(array, np.memmap) for array in (*loaded.sources, *loaded.panels, *loaded.rotation))
    assert_same(rank_counted(loaded, users, 10, None, walk)[0], rank_counted(index, users, 10, None, walk)[0])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_refused(bad: float) -> None:
    broken = np.ones((4, 2), np.float32)
    broken[2, 1] = bad
    with pytest.raises(BadFactors, match=r"1 source vectors.*row 2"):
        SourceIndex.build(broken)
    with pytest.raises(BadFactors, match=r"1 user vectors.*row 2"):
        rank_top_n(SourceIndex.build(np.ones((4, 2), np.float32)), broken, 1)


def test_what_cannot_be_ranked_is_refused() -> None:
    index = SourceIndex.build(np.ones((4, 2), np.float32))
    users = np.ones((3, 2), np.float32)
    with pytest.raises(BadFactors, match="float64"):
        rank_top_n(index, users.astype(np.float64), 1)
    with pytest.raises(BadFactors, match="2 factors"):
        rank_top_n(index, np.ones((3, 5), np.float32), 1)
    with pytest.raises(BadFactors, match="shape"):
        rank_top_n(index, users, 1, exclude=csr_matrix((3, 5)))
    with pytest.raises(BadFactors, match="1 to 2"):
        SourceIndex.build(np.empty((0, 2), np.float32))
    with pytest.raises(BadFactors, match="at most 16,384"):
        SourceIndex.build(np.ones((1, 16_385), np.float32))
    with pytest.raises(BadFactors, match="overflow"):
        rank_top_n(SourceIndex.build(np.full((1, 2), 1e30, np.float32)), np.full((1, 2), 1e30, np.float32), 1)
