"""Figures about hits say what they rest on, and only what was shown has a click-through rate."""

import pytest

from models.outcomes.basis import Basis, HitRate, strongest


@pytest.mark.parametrize(
    ("basis", "rate", "per"),
    [
        ("listed", "hits per list", "lists"),
        ("answered", "hits per answer", "answers"),
        ("shown", "click-through rate", "impressions"),
    ],
)
def test_each_basis_has_one_name_for_its_rate(basis: str, rate: str, per: str) -> None:
    assert (Basis(basis).rate, Basis(basis).per, str(Basis(basis))) == (rate, per, basis)


def test_only_what_was_shown_is_clicked_through() -> None:
    assert [basis for basis in Basis if "click" in basis.rate] == [Basis.SHOWN]
    assert len({basis.rate for basis in Basis}) == len({basis.per for basis in Basis}) == len(Basis) == 3


def test_an_unknown_basis_is_none() -> None:
    with pytest.raises(ValueError, match="'clicked' is not a valid Basis"):
        Basis("clicked")


@pytest.mark.parametrize(
    ("exposures", "impressions", "basis"),
    [
        (False, False, Basis.LISTED),
        (True, False, Basis.ANSWERED),
        (False, True, Basis.SHOWN),
        (True, True, Basis.SHOWN),
    ],
)
def test_the_best_data_decide(exposures: bool, impressions: bool, basis: Basis) -> None:
    assert strongest(exposures=exposures, impressions=impressions) is basis


def test_a_rate_says_its_basis_and_divides_by_nothing_never() -> None:
    assert str(HitRate(Basis.SHOWN, 1_088, 23_082)) == (
        "click-through rate 4.71 % (shown: 1,088 hits of 23,082 impressions)"
    )
    assert str(HitRate(Basis.ANSWERED, 2_474, 3_000)) == "hits per answer 0.825 (answered: 2,474 hits of 3,000 answers)"
    assert HitRate(Basis.LISTED, 3, 2).value == 1.5
    assert (HitRate(Basis.SHOWN, 0, 0).value, HitRate(Basis.SHOWN, 0, 0).text) == (None, "unknown")
