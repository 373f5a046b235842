"""Windows: what the words mean, and what every window keeps."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf.errors import ConfigError
from conf.windows import Window

AS_OF = dt.date(2026, 11, 16)
DAYS = st.dates(dt.date(2001, 1, 1), dt.date(2100, 1, 1))


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("10 days ago:today", "2026-11-06", "2026-11-16"),  # the ten complete days before
        ("2 weeks ago:yesterday", "2026-11-02", "2026-11-15"),
        ("1 day ago", "2026-11-15", "2026-11-16"),  # a single word is that one day
        (" 2026-11-01 : 2026-11-03 ", "2026-11-01", "2026-11-03"),
    ],
)
def test_words(text: str, start: str, end: str) -> None:
    expected = Window(dt.date.fromisoformat(start), dt.date.fromisoformat(end))
    assert Window.parse(text, AS_OF) == expected


@pytest.mark.parametrize("text", ["", "10 days:today", "tomorrow", "1 days ago:2 days ago", "today:today", "a:b:c"])
def test_what_is_no_window_is_refused_with_the_words_that_are(text: str) -> None:
    with pytest.raises(ConfigError, match="days ago"):
        Window.parse(text, AS_OF)


@pytest.mark.parametrize(
    "text", ["36501 days ago:today", "99999 weeks ago:today", "0001-01-01:today", "9999-12-31", "１ days ago:today"]
)
def test_a_day_out_of_reach_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"more than 36,500 days from the day of the run|is not a day"):
        Window.parse(text, AS_OF)


@given(DAYS, st.integers(1, 400))
def test_days_are_half_open_and_dense(as_of: dt.date, length: int) -> None:
    window = Window.parse(f"{length} days ago:today", as_of)
    assert len(window.days) == length
    assert window.days[0] == window.start
    assert window.days[-1] == as_of - dt.timedelta(days=1)
    assert all(day in window for day in window.days)
    assert as_of not in window
    assert window.start - dt.timedelta(days=1) not in window


@given(DAYS, st.integers(1, 100), st.integers(1, 30))
def test_a_window_moves_with_its_anchor(as_of: dt.date, length: int, back: int) -> None:
    shift = dt.timedelta(days=back)
    now, then = (Window.parse(f"{length} days ago:today", day) for day in (as_of, as_of - shift))
    assert (now.start - then.start, now.end - then.end) == (shift, shift)
