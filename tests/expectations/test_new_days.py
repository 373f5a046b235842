"""New days beside the same weekdays before: what is lost shows whichever days are new, and chance does not."""

import datetime as dt
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expectations.new_days import NewWeek, compare_new_days
from tests.expectations.inputs import AS_OF, days_profile


def ratios(since: int = 7, **profile: object) -> dict[str, float]:
    """Statistic → the ratio farthest from 1, where the run that serves is `since` days old."""
    found = compare(since, **profile)
    assert not isinstance(found, str), found
    worst: dict[str, float] = {}
    for one in found:
        worst[one.what] = max(worst.get(one.what, 1.0), one.ratio, key=lambda ratio: abs(ratio - 1))
    return worst


def compare(since: int = 7, **profile: object) -> list[NewWeek] | str:
    return compare_new_days(days_profile(**profile), AS_OF - dt.timedelta(days=since), AS_OF)  # type: ignore[arg-type]


def lost(*newest: int, to: float = 0.5) -> Callable[[int], float]:
    """Of the given days ago only a part is there."""
    return lambda ago: to if ago in newest else 1.0


def test_weekdays_are_compared_with_their_own_kind() -> None:
    assert ratios() == {"events": 1.0, "users": 1.0}  # though Saturdays have more than Mondays


@pytest.mark.parametrize("to", [0.5, 0.1, 2.0])
def test_a_lost_week_shows_by_what_is_left(to: float) -> None:
    found = ratios(change=lost(*range(1, 8), to=to))
    assert found == pytest.approx({"events": to, "users": to}, rel=0.01)


def test_few_users_with_many_events_are_left_out() -> None:
    (comparison,) = compare(users=0.01)
    assert isinstance(comparison, NewWeek)
    assert comparison.what == "events"


def test_users_show_where_events_do_not() -> None:
    lost_users = days_profile(users=0.2).days[-7:]
    profile = days_profile()
    mixed = profile.model_copy(update={"days": (*profile.days[:-7], *lost_users)})
    found = compare_new_days(mixed, AS_OF - dt.timedelta(days=7), AS_OF)
    assert {one.what: one.ratio for one in found if isinstance(one, NewWeek)} == {"events": 1.0, "users": 0.5}


def test_two_holidays_of_seven_days_are_no_loss() -> None:
    assert ratios(change=lost(3, 4, to=0.1)) == {"events": 1.0, "users": 1.0}


def test_what_is_usual_is_the_median_of_three_weeks() -> None:
    four_weeks = {"ago": range(1, 36), "change": lost(*range(8, 15), to=5.0)}  # the week before was a feast
    assert ratios(**four_weeks) == {"events": 1.0, "users": 1.0}


@pytest.mark.parametrize("since", [0, 1, 3, 7])
def test_a_run_soon_after_another_compares_a_week_all_the_same(since: int) -> None:
    assert ratios(since, change=lost(*range(1, 8)))["events"] == pytest.approx(0.5, rel=0.01)


def test_days_that_no_run_served_stay_new_and_are_never_what_is_usual() -> None:
    kept = {"ago": range(1, 36)}
    # nothing served for two weeks; the older of them is bad, and it is read
    assert ratios(14, **kept, change=lost(*range(8, 15)))["events"] == 1.0, "only days 8, 9 and 10 are in the window"
    # both are bad: the older one must not make the newer one usual
    assert ratios(14, **kept, change=lost(*range(1, 15)))["events"] == pytest.approx(0.5, rel=0.01)
    # a good week does not hide a bad one
    assert ratios(21, **kept, change=lost(*range(1, 8)))["events"] == pytest.approx(0.5, rel=0.01)


def test_too_little_to_compare_is_said_with_its_numbers() -> None:
    closed = compare(ago=[1, 2, 3, 4, *range(8, 17)])  # three of seven days have no partition
    assert (
        closed == "4 new days, 4 of them with an older one of their weekday, compared from 5 such days and 100 events"
    )
    young = compare(ago=range(1, 12))  # four older days
    assert isinstance(young, str)
    assert young.startswith("7 new days, 4 of them")
    tiny = compare(change=lambda ago: 0.01)
    assert isinstance(tiny, str)


def test_everything_lost_is_found_and_nothing_before_is_no_division() -> None:
    assert ratios(change=lost(*range(1, 8), to=0.0))["events"] == 0
    assert isinstance(compare(change=lambda ago: 0.0 if ago > 7 else 1.0), str)


@given(st.integers(0, 40), st.integers(1, 60), st.data())
def test_every_new_day_is_in_one_week_and_the_answer_is_bounded(since: int, kept: int, data: st.DataObject) -> None:
    there = data.draw(st.sets(st.integers(1, kept), max_size=kept))
    shares = data.draw(st.lists(st.floats(0, 3), min_size=kept + 1, max_size=kept + 1))
    found = compare(since, ago=there, change=lambda ago: shares[ago])
    if not isinstance(found, str):
        assert all(one.ratio >= 0 and one.usual > 0 and one.day < AS_OF for one in found)
        assert len({(one.what, one.day) for one in found}) == len(found)
