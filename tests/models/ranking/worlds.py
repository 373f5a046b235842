"""Users and sources that are meant to be difficult, and what is right for them."""

import numpy as np
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from models.ranking import TopN

World = tuple[np.ndarray, np.ndarray, csr_matrix, int]
"""Users, sources, exclusions, n."""

SHAPES = (
    "normal",
    "skewed norms",
    "clusters",
    "one basis",
    "duplicates",
    "constant",
    "zeros",
    "huge",
    "tiny",
    "vanishing",
    "integers",
)


def factors(draw: np.random.Generator, rows: int, dimensions: int, shape: str) -> np.ndarray:
    """Factors float32 (rows, dimensions) of one character."""
    values = draw.standard_normal((rows, dimensions))
    match shape:
        case "skewed norms":
            values *= draw.pareto(0.8, (rows, 1))
        case "clusters":
            values = values[draw.integers(max(1, rows // 10), size=rows)] + 0.1 * values
        case "one basis":
            values *= 10.0 ** -np.arange(dimensions)  # nearly all of the length in one coordinate
        case "duplicates":
            values = values[draw.integers(max(1, rows // 4), size=rows)]
        case "constant":
            values = np.ones_like(values)
        case "zeros":
            values *= draw.integers(2, size=(rows, 1))
        case "huge":
            values *= 1e15
        case "tiny":
            values *= 1e-30
        case "vanishing":
            values *= 10.0 ** draw.integers(-45, 1, (rows, 1))  # norms down to float32's smallest, and to 0
        case "integers":
            values = draw.integers(-2, 3, (rows, dimensions))
    return values.astype(np.float32)


@st.composite
def worlds(draw: st.DrawFn, most_users: int = 40, most_sources: int = 300) -> World:
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    users, sources = draw(st.integers(1, most_users)), draw(st.integers(1, most_sources))
    dimensions = draw(st.sampled_from([1, 2, 3, 7, 16, 17, 64, 250, 512]))
    shape_of_users, shape_of_sources = draw(st.sampled_from(SHAPES)), draw(st.sampled_from(SHAPES))
    excluded = generator.random((users, sources)) < draw(st.sampled_from([0.0, 0.1, 0.9, 1.0]))
    return (
        factors(generator, users, dimensions, shape_of_users),
        factors(generator, sources, dimensions, shape_of_sources),
        csr_matrix(excluded.astype(np.int8)),
        draw(st.sampled_from([1, 5, 20, 200, 400])),
    )


def exact_scores(users: np.ndarray, sources: np.ndarray) -> np.ndarray:
    """All scores in float64 (users, sources), summed by BLAS in whatever order."""
    return users.astype(np.float64) @ sources.astype(np.float64).T


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
    near = 2e-13 * scale.max(axis=1, initial=0)[:, None] + 2.0**-149
    limit = 2.0**-23 * np.abs(expected.scores, where=filled, out=np.zeros(filled.shape)) + near
    own = np.take_along_axis(exact, np.where(filled, found.ids, 0), axis=1)
    for scores in (np.where(filled, expected.scores, 0), own):  # the best ones, and those of the sources named
        assert np.all(np.abs((found.scores.astype(np.float64) - scores)[filled]) <= limit[filled])
    for u in range(len(users)):
        ids, scores = found.ids[u][filled[u]], found.scores[u][filled[u]]
        assert len(set(ids)) == len(ids)
        assert not np.isin(ids, exclude[[u]].indices).any()
        assert np.all((scores[:-1] > scores[1:]) | ((scores[:-1] == scores[1:]) & (ids[:-1] < ids[1:])))


def assert_same(found: TopN, expected: TopN) -> None:
    """The same lists, bit for bit."""
    assert np.array_equal(found.ids, expected.ids)
    assert np.array_equal(found.scores.view(np.uint32), expected.scores.view(np.uint32))
