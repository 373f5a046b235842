"""Anchors: what is asked of them, and the basis that they lead back to."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import TrainError
from models.training.anchors import LEAST, Anchors

D = 3


def anchors_of(regularization: float) -> Anchors:
    return Anchors(D, regularization, 1e4, 100, 200)


def placed(regularization: float) -> tuple[np.ndarray, np.ndarray]:
    """Anchors (2d, d) of users and sources in the balanced basis."""
    t = np.roots([1, -regularization, 1]).real.min()  # t + 1/t = λ
    groups = np.sqrt(t) * np.eye(D), np.eye(D) / np.sqrt(t)
    return np.concatenate(groups), np.concatenate(groups[::-1])


@given(st.floats(LEAST, 1e4))
def test_the_ratings_ask_for_anchors_whose_gram_matrices_are_lambda(regularization: float) -> None:
    users, sources = placed(regularization)
    for side in (users, sources):
        assert side.T @ side == pytest.approx(regularization * np.eye(D), rel=1e-6)
    asked, sure = np.zeros((2 * D, 2 * D)), np.zeros((2 * D, 2 * D))
    for row in anchors_of(regularization).ratings().to_pylist():
        place = row["user_row"] - 100, row["source_row"] - 200
        asked[place] += max(row["rating"], 0)
        sure[place] += abs(row["rating"])
    known = sure > 0
    assert known.sum() == (2 * D) ** 2 - D  # user b · source a follows from the others
    assert asked[known] / sure[known] == pytest.approx((users @ sources.T)[known], abs=1e-6)
    assert sure[known].min() > 1e3


@given(st.floats(LEAST, 1e4), st.integers(0, 2**32 - 1))
def test_any_basis_is_turned_into_the_balanced_one_without_changing_a_score(regularization: float, seed: int) -> None:
    users, sources = placed(regularization)
    draw = np.random.default_rng(seed)
    basis = np.linalg.qr(draw.standard_normal((D, D)))[0] * draw.uniform(0.2, 5, D)
    users, sources = users @ basis, sources @ np.linalg.inv(basis).T
    turn_users, turn_sources = anchors_of(regularization).balance(users, sources)
    assert turn_users @ turn_sources.T == pytest.approx(np.eye(D), abs=1e-6)
    for turned in (users @ turn_users, sources @ turn_sources):
        assert turned.T @ turned / regularization == pytest.approx(np.eye(D), abs=1e-4)


@pytest.mark.parametrize("astray", [np.nan, np.inf, 0.0, 5.0])
def test_anchors_that_went_astray_are_an_error(astray: float) -> None:
    users, sources = placed(50.0)
    sources[0, 0] = astray
    with pytest.raises(TrainError, match="regularization"):
        anchors_of(50.0).balance(users, sources)
