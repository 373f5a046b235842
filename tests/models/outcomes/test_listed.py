"""When a list counts as given, where nobody knows what was answered."""

import datetime as dt

from models.outcomes.listed import moments_of
from models.outcomes.rows import DAY_US, Served

NOON = dt.datetime(2026, 11, 9, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


def then(since: float, until: float | None, run: str | None, share: int = 5_000) -> Served:
    end = None if until is None else NOON + until * DAY
    return Served(NOON + since * DAY, end, run, None, "salt", share)


def days_of(run: str, *served: Served, start: float = -9.5, end: float = 4.5) -> list[float]:
    """Days since NOON at which the lists of a run are given; half days are mornings."""
    noon = int(NOON.timestamp()) * 10**6
    found = moments_of(run, served, NOON + start * DAY, NOON + end * DAY)
    return [(at - noon) / DAY_US for at, _ in found]


def test_it_is_given_at_its_promotion_and_each_morning_that_it_serves() -> None:
    assert days_of("a", then(0, 2, "a"), then(2, None, "b")) == [0, 0.5, 1.5]
    assert days_of("b", then(0, 2, "a"), then(2, None, "b")) == [2, 2.5, 3.5]
    assert days_of("a", then(-0.5, 0.5, "a")) == [-0.5]  # from one midnight to the next
    assert days_of("a", then(-99, None, "a"), start=1.5) == [1.5, 2.5, 3.5]


def test_a_change_of_the_pointer_that_changes_nobodys_list_gives_it_to_nobody_again() -> None:
    assert days_of("a", then(0, 0.1, "a"), then(0.1, 0.2, "a"), then(0.2, 1, "a")) == [0, 0.5]
    assert days_of("a", then(0, 0.1, "a"), then(0.1, 1, "a", share=9_000)) == [0, 0.1, 0.5]


def test_nobody_is_given_any_at_share_0_or_while_none_serves() -> None:
    assert days_of("a", then(0, 1, "a", share=0), then(1, 2, None)) == []
