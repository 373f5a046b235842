"""What the proofs say, measured: the screens never lose a score, and are tight enough to be worth it."""

import numpy as np
from hypothesis import given, settings

from models.ranking.compiled import compiled
from models.ranking.index import SourceIndex, check_factors
from models.ranking.panels import NEVER, PANEL, quantise_users
from models.ranking.rounding import error_of_unit_product, rounds_to_zero, underflow
from models.ranking.vectors import dot
from models.ranking.walk_simd import _set_bars
from tests.models.ranking.worlds import World, exact_scores, factors, worlds


def scores_of(users: np.ndarray, sources: np.ndarray) -> np.ndarray:
    """The scores as the package defines them, without its code: 16 partial sums, added as a tree."""
    products = users.astype(np.float64)[:, None, :] * sources.astype(np.float64)[None]
    whole = products.shape[2] // 16 * 16
    lanes = products[..., :whole].reshape(*products.shape[:2], whole // 16, 16)
    sums = np.zeros((*products.shape[:2], 16))
    for step in range(lanes.shape[2]):
        sums += lanes[:, :, step]
    while sums.shape[2] > 1:
        sums = sums[..., : sums.shape[2] // 2] + sums[..., sums.shape[2] // 2 :]
    tail = np.zeros(products.shape[:2])
    for i in range(whole, products.shape[2]):
        tail += products[..., i]
    return (sums[..., 0] + tail).astype(np.float32)


def sums_and_bars(users: np.ndarray, sources: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For every pair (users of norm > 0, sources by descending norm): what the 8-bit screen sums up, what the sum must
    reach for the pair's own score to be reached, and which pairs have a score that is not 0 for certain.
    """
    index = SourceIndex.build(sources)
    kept, norms = check_factors(users, "user")
    kept, norms = kept[norms > 0], norms[norms > 0]
    codes = quantise_users(kept.astype(np.float64), norms, index.rotation)
    panels = index.panels.codes.transpose(0, 2, 1, 3).reshape(len(index.panels.codes) * PANEL, -1)[: len(index)]
    sums = (codes.codes.astype(np.int64) - 128) @ panels.astype(np.int64).T
    scores = scores_of(kept, index.sources.factors)
    bars = np.empty((len(kept), len(index)), np.int64)
    own = np.empty((1, len(index.panels.codes)), np.int32)
    for user in range(len(kept)):
        for source in range(len(index)):
            panel = source // PANEL
            _set_bars(own, 0, scores[user, source], codes.scales, user, index.panels.scales, panel, panel + 1)
            bars[user, source] = own[0, 0]
    return sums, bars, ~rounds_to_zero(norms[:, None] * index.sources.norms[0]) & np.ones_like(sums, bool)


@settings(max_examples=60, deadline=None)
@given(worlds(most_users=10))
def test_a_sum_reaches_the_bar_of_its_own_score(world: World) -> None:
    users, sources, _, _ = world
    sums, bars, loud = sums_and_bars(users, sources)
    assert np.all((sums >= bars) | ~loud)
    assert np.all(np.abs(bars) <= NEVER)


def test_the_screen_in_8_bits_is_sharp() -> None:
    draw = np.random.default_rng(3)
    sums, bars, _ = sums_and_bars(factors(draw, 20, 64, "normal"), factors(draw, 640, 64, "one basis"))
    lengths = 127**2 * 64 / 6.6  # of such vectors in 8 bits: their largest of 64 coordinates is 2.6 times the usual one
    assert (sums - bars).max() < 0.03 * lengths


@settings(max_examples=60, deadline=None)
@given(worlds(most_users=10))
def test_a_float32_product_is_as_near_to_the_score_as_the_bound_says(world: World) -> None:
    users, sources, _, _ = world
    norms = [np.linalg.norm(vectors.astype(np.float64), axis=1) for vectors in (users, sources)]
    limit = np.outer(*norms) * error_of_unit_product(users.shape[1]) + underflow(users.shape[1])
    assert np.all(np.abs((users @ sources.T).astype(np.float64) - scores_of(users, sources)) <= limit)


@settings(max_examples=60, deadline=None)
@given(worlds(most_users=4, most_sources=20))
def test_a_score_is_summed_up_in_the_one_order(world: World) -> None:
    users, sources, _, _ = world
    expected = scores_of(users, sources)
    found = np.array([[_score(user, source) for source in sources] for user in users.astype(np.float64)], np.float32)
    assert np.array_equal(found, expected)
    assert np.allclose(found, exact_scores(users, sources), rtol=1e-6, atol=1e-12 * np.abs(expected).max() + 2e-45)


@compiled
def _score(wide: np.ndarray, source: np.ndarray) -> np.float32:
    return np.float32(dot(wide.ctypes.data, source.ctypes.data, len(source)))
