"""The list of statistics: each is named in docs/drift.md with its harm, and its scale is the same both ways."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expectations.drift.reference import reference
from expectations.drift.statistics import STATISTICS, Statistic, statistic

PAGE = Path(__file__).parents[3] / "docs/drift.md"
ALL = [pytest.param(one, id=f"{one.kind}.{one.name}") for one in STATISTICS.values()]


def test_the_page_has_todays_statistics() -> None:
    """`make reference` makes it."""
    page = PAGE.read_text()
    assert reference(page) == page


@pytest.mark.parametrize("one", ALL)
def test_each_says_what_it_guards_against(one: Statistic) -> None:
    assert one.label
    assert one.harm
    assert one.prior > 0
    assert one.mode != "off"


@pytest.mark.parametrize("one", ALL)
@given(part=st.floats(0.01, 0.99), n=st.integers(1_000, 10**9))
def test_a_value_comes_back_from_its_scale(one: Statistic, part: float, n: int) -> None:
    value = part if one.scale == "share" else part * 1_000
    assert one.of_scale(one.to_scale(value, n)) == pytest.approx(value, rel=0.1)
    assert one.noise(value, n) >= 0


def test_an_event_names_share_is_a_statistic_of_datasets_only() -> None:
    found = statistic("events", "share_of_like")
    assert found is not None
    assert "like" in found.label
    assert statistic("lists", "share_of_like") is None
    assert statistic("sources", "rows") is STATISTICS["snapshot", "rows"]
