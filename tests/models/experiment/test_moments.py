"""Sums over users: they add up, travel as bytes, and refuse what does not fit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import default_rng

from models.errors import BadMoments
from models.experiment.moments import Moments, Slice, slices_at, variables_of


def moments(users: int, seed: int = 0) -> Moments:
    variables = variables_of(2, ratio=True)
    return Moments.of(variables, default_rng(seed).poisson(1.0, (users, len(variables))))


def test_parts_add_up_to_the_whole() -> None:
    rows = default_rng(1).poisson(2.0, (50, 4))
    names = ("a0", "x0", "a1", "x1")
    whole = Moments.of(names, rows)
    assert whole == Moments.of(names, rows[:20]) + Moments.of(names, rows[20:]) + Moments.none(names)
    assert whole.n == 50
    assert np.array_equal(whole.products, rows.T @ rows)
    assert whole != Moments.of(names, rows[:49])
    assert whole != "moments"


def test_a_selection_keeps_its_order() -> None:
    some = moments(10).select(("x2", "a0"))
    assert some.variables == ("x2", "a0")
    assert some.products[0, 1] == moments(10).products[7, 0]
    with pytest.raises(BadMoments, match="and not x9"):
        some.select(("x9",))


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=4, max_size=40))
def test_bytes_come_back_to_the_last_bit(numbers: list[float]) -> None:
    some = Moments.of(("a1", "x1"), numbers[: len(numbers) // 2 * 2])
    assert Moments.from_bytes(some.to_bytes()) == some


def test_twelve_weeks_of_a_ratio_in_seven_slices_fit_into_50_kb() -> None:
    variables = variables_of(12, ratio=True)
    rows = default_rng(1).lognormal(size=(100, len(variables)))
    assert 7 * len(Moments.of(variables, rows).to_bytes()) < 50_000


@pytest.mark.parametrize("data", [b"", b"{}\n", b'{"n":1,"variables":["a"]}\nrubbish', moments(3).to_bytes()[:-9]])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(BadMoments, match="are not moments"):
        Moments.from_bytes(data)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(BadMoments, match="do not add up"):
        moments(3) + Moments.none(("a0",))
    with pytest.raises(BadMoments, match="named twice"):
        Moments.none(("a0", "a0"))
    with pytest.raises(BadMoments, match="have the shapes"):
        Moments(("a0",), 1, np.zeros(2), np.zeros((1, 1)))


def test_slices_are_cut_at_every_share() -> None:
    slices = slices_at([100, 2_500, 100])
    assert slices == (Slice(0, 100), Slice(100, 2_500), Slice(2_500, 10_000))
    assert [part.is_treated(100) for part in slices] == [True, False, False]
    assert [part.is_treated(10_000) for part in slices] == [True] * 3
    assert not any(part.is_treated(0) for part in slices)
    with pytest.raises(BadMoments, match="cuts it"):
        slices[1].is_treated(500)
    with pytest.raises(BadMoments, match="bounds rise"):
        Slice(5, 5)
