"""Exact top-N against brute force in float64, over worlds that are meant to be difficult."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from models.errors import BadFactors
from models.ranking import SourceIndex, TopN, rank, rank_top_n

Worlds = tuple[np.ndarray, np.ndarray, csr_matrix, int]

SHAPES = ("normal", "skewed norms", "duplicates", "constant", "zeros", "huge", "tiny", "integers")


def factors(draw: np.random.Generator, rows: int, dimensions: int, shape: str) -> np.ndarray:
    """Factors float32 (rows, dimensions) of one character."""
    values = draw.standard_normal((rows, dimensions))
    match shape:
        case "skewed norms":
            values *= draw.pareto(0.8, (rows, 1))
        case "duplicates":
            values = values[draw.integers(max(1, rows // 4), size=rows)]
        case "constant":
            values = np.ones_like(values)
        case "zeros":
            values *= draw.integers(2, size=(rows, 1))
        case "huge":
            values *= 1e17
        case "tiny":
            values *= 1e-25
        case "integers":
            values = draw.integers(-2, 3, (rows, dimensions))
    return values.astype(np.float32)


@st.composite
def worlds(draw: st.DrawFn) -> Worlds:
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    users, sources = draw(st.integers(1, 40)), draw(st.integers(1, 150))
    dimensions = draw(st.sampled_from([1, 2, 3, 7, 16, 64, 256]))
    shape_of_users, shape_of_sources = draw(st.sampled_from(SHAPES)), draw(st.sampled_from(SHAPES))
    excluded = generator.random((users, sources)) < draw(st.sampled_from([0.0, 0.1, 0.9, 1.0]))
    return (
        factors(generator, users, dimensions, shape_of_users),
        factors(generator, sources, dimensions, shape_of_sources),
        csr_matrix(excluded.astype(np.int8)),
        draw(st.sampled_from([1, 5, 20, 200])),
    )


def exact_scores(users: np.ndarray, sources: np.ndarray) -> np.ndarray:
    """All scores in float64 (users, sources)."""
    return np.array([[np.dot(u, s) for s in sources.astype(np.float64)] for u in users.astype(np.float64)])


def brute_force(exact: np.ndarray, n: int, exclude: csr_matrix) -> TopN:
    """A full sort of all scores rounded to float32, ties by smaller row."""
    scores = exact.astype(np.float32)
    ids = np.full((len(exact), n), -1, np.int32)
    best = np.full((len(exact), n), -np.inf, np.float32)
    for u in range(len(exact)):
        allowed = np.setdiff1d(np.arange(exact.shape[1]), exclude[[u]].indices)
        order = allowed[np.lexsort((allowed, -scores[u, allowed]))][:n]
        ids[u, : len(order)], best[u, : len(order)] = order, scores[u, order]
    return TopN(ids, best)


def assert_exact(found: TopN, users: np.ndarray, sources: np.ndarray, n: int, exclude: csr_matrix) -> None:
    """The same scores as brute force to one rounding; other ids only where scores are as close as that."""
    exact = exact_scores(users, sources)
    expected = brute_force(exact, n, exclude)
    assert found.ids.dtype == np.int32
    assert found.scores.dtype == np.float32
    assert found.ids.shape == found.scores.shape == (len(users), n)
    assert np.array_equal(found.ids == -1, expected.ids == -1)
    assert np.array_equal(np.isneginf(found.scores), found.ids == -1)
    filled = found.ids >= 0
    # float64 sums in another order differ by d · 2^-53 of Σ|x·y|, which moves a float32 by one place at most
    scale = np.abs(users).astype(np.float64) @ np.abs(sources).astype(np.float64).T
    near = 1e-13 * scale.max(axis=1, initial=0)[:, None] + 2.0**-149
    limit = 2.0**-23 * np.abs(expected.scores, where=filled, out=np.zeros(filled.shape)) + near
    own = np.take_along_axis(exact, np.where(filled, found.ids, 0), axis=1)
    for scores in (np.where(filled, expected.scores, 0), own):  # the best ones, and those of the sources named
        assert np.all(np.abs((found.scores.astype(np.float64) - scores)[filled]) <= limit[filled])
    for u in range(len(users)):
        ids, scores = found.ids[u][filled[u]], found.scores[u][filled[u]]
        assert len(set(ids)) == len(ids)
        assert not np.isin(ids, exclude[[u]].indices).any()
        assert np.all((scores[:-1] > scores[1:]) | ((scores[:-1] == scores[1:]) & (ids[:-1] < ids[1:])))


@settings(max_examples=150, deadline=None)
@given(worlds())
def test_lists_are_those_of_brute_force(world: Worlds) -> None:
    users, sources, exclude, n = world
    found = rank_top_n(SourceIndex.build(sources), users, n, exclude=exclude)
    assert_exact(found, users, sources, n, exclude)


@settings(max_examples=40, deadline=None)
@given(worlds(), st.integers(1, 60), st.integers(1, 60))
def test_blocks_and_the_order_of_users_change_nothing(world: Worlds, user_block: int, block: int) -> None:
    users, sources, exclude, n = world
    index = SourceIndex.build(sources)
    whole = rank_top_n(index, users, n, exclude=exclude)
    shuffled = np.random.default_rng(user_block).permutation(len(users))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rank, "USER_BLOCK", user_block)
        patch.setattr(rank, "SOURCE_BLOCK", block)
        parts = rank_top_n(index, users[shuffled], n, exclude=exclude[shuffled])
    assert np.array_equal(parts.ids, whole.ids[shuffled])
    assert np.array_equal(parts.scores, whole.scores[shuffled])


@pytest.mark.parametrize("shape", SHAPES)
def test_more_sources_than_a_block_and_an_early_stop(shape: str) -> None:
    draw = np.random.default_rng(5)
    users, sources = factors(draw, 20, 16, "normal"), factors(draw, 3000, 16, shape)
    exclude = csr_matrix((draw.random((20, 3000)) < 0.05).astype(np.int8))
    assert_exact(rank_top_n(SourceIndex.build(sources), users, 30, exclude=exclude), users, sources, 30, exclude)


def test_ties_go_to_the_smaller_row() -> None:
    sources = np.ones((2000, 3), np.float32)
    found = rank_top_n(SourceIndex.build(sources), np.ones((2, 3), np.float32), 5)
    assert found.ids.tolist() == [[0, 1, 2, 3, 4]] * 2
    assert found.scores.tolist() == [[3.0] * 5] * 2


def test_stored_entries_exclude_whatever_their_value_and_order() -> None:
    users, sources = np.ones((1, 1), np.float32), np.array([[3], [2], [1]], np.float32)
    exclude = csr_matrix((np.array([0, 5]), np.array([2, 0]), np.array([0, 2])), shape=(1, 3))
    found = rank_top_n(SourceIndex.build(sources), users, 3, exclude=exclude)
    assert found.ids.tolist() == [[1, -1, -1]]
    assert exclude.indices.tolist() == [2, 0]  # the argument is not sorted in place


def test_no_users_and_users_who_may_see_nothing() -> None:
    index = SourceIndex.build(np.ones((3, 2), np.float32))
    assert rank_top_n(index, np.empty((0, 2), np.float32), 4).ids.shape == (0, 4)
    nothing = rank_top_n(index, np.ones((1, 2), np.float32), 2, exclude=csr_matrix(np.ones((1, 3))))
    assert nothing.ids.tolist() == [[-1, -1]]


def test_a_loaded_index_is_mapped_and_ranks_alike(tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    users, sources = factors(draw, 9, 8, "normal"), factors(draw, 70, 8, "skewed norms")
    index = SourceIndex.build(sources)
    index.save(tmp_path / "index")
    loaded = SourceIndex.load(tmp_path / "index")
    assert isinstance(loaded.factors, np.memmap)
    assert np.array_equal(rank_top_n(loaded, users, 10).ids, rank_top_n(index, users, 10).ids)


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
    with pytest.raises(BadFactors, match="overflow"):
        rank_top_n(SourceIndex.build(np.full((1, 2), 1e30, np.float32)), np.full((1, 2), 1e30, np.float32), 1)
