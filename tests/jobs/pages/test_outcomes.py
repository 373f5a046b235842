"""The page of outcomes: one file, its curves, and its words where there is nothing to draw."""

import datetime as dt
import re
import xml.dom.minidom
from collections.abc import Sequence
from typing import Any

import pytest

from conf import contract
from jobs.pages.curves import Curve, Point, curves, tiny
from jobs.pages.outcomes import outcomes_page

FIRST = dt.date(2026, 11, 9)
NOTHING = dict.fromkeys(contract.outcomes().names)


def day(number: int) -> dt.date:
    return FIRST + dt.timedelta(days=number)


def row(number: int, **figures: Any) -> dict[str, Any]:
    known = {"day": day(number), "basis": "answered", "run": "a", "arm": "treatment", "by": "all", "users": 10}
    return NOTHING | known | {"answers": 20, "hits": 5, "users_hit": 5, "first_hit_ms": 450_000} | figures


def page(rows: Sequence[dict[str, Any]], days: int = 1, *, mature: bool = True, notes: Sequence[str] = ()) -> str:
    """The page of so many days, of which the last one may still grow."""
    known = {day(n): mature or n < days - 1 for n in range(days)}
    return outcomes_page("told", known, rows, notes)


def test_it_is_one_file_that_loads_nothing_and_runs_nothing() -> None:
    rows = [row(n, new=4, new_listed=n % 2) for n in range(3)]
    rows += [row(n, by="category", value="<script>alert(1)</script>\x1b") for n in range(3)]
    rows += [row(0, by="position", value=str(place), hits=9 - place) for place in range(1, 9)]
    made = page(rows, 3, notes=["a & b"])
    xml.dom.minidom.parseString(made)
    assert "<script" not in made
    assert not re.search(r"(src|href)=|url\(|@import|\x1b", made)
    assert "&lt;script&gt;alert(1)" in made
    assert "<li>a &amp; b</li>" in made
    assert made.count('<svg class="plot"') == 4
    assert made == page(rows, 3, notes=["a & b"])


def test_arms_stand_beside_each_other_and_days_that_grow_are_marked() -> None:
    arms = {"shadow": 3, "control": 2, "treatment": 8}
    rows = [row(n, arm=arm, run=None, hits=hits) for arm, hits in arms.items() for n in (0, 1)]
    made = page(rows, 2, mature=False)
    assert "<h1>Hits per answer: treatment 0.400, control 0.100, shadow 0.150</h1>" in made
    assert "2 days were measured, of which 1 still grows" in made
    grown = re.findall(r'<circle class="d (\w+) grows"[^>]*><title>([^<]*)', made)
    assert ("control", f"control, {day(1)}: 0.1, still growing") in grown
    assert {tone for tone, _ in grown} == set(arms)
    assert "users outside of the treatment, by lists that the run made for them and nobody saw" in made


def test_what_lists_made_stands_by_week_with_its_interval() -> None:
    groups = {"group_users": [5] * 8, "group_answers": [10] * 8, "group_hits": [2, 3] * 4}
    shadow = {**groups, "arm": "shadow", "group_hits": [1, 0] * 4}
    made = page([row(n, **arm) for n in (0, 1) for arm in (groups, shadow)], 2)
    assert made.count('<b>+0.4000</b></td><td class="num">+0.2') == 1
    assert "<b>0.250</b><small>0.2" in made
    assert "Incremental hits" not in page([row(0, **groups)])


def test_what_was_shown_comes_first_and_has_a_rate_of_its_own() -> None:
    made = page([row(0), row(0, basis="shown", answers=100)])
    assert made.index("Click-through rate: treatment 5.00\u00a0%") < made.index("Answered: hits per answer")


def test_runs_of_a_day_are_one_arm() -> None:
    made = page([row(0), row(0, run="b", hits=15)])
    assert "treatment 0.500" in made
    assert f"treatment, {day(0)}: 0.5<" in made


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "Nothing was answered or shown on these days"),
        ([row(0)], "Which engagements are new is not known on these days, or there are none."),
        ([row(0)], "The place of no hit is known."),
        ([row(0), row(0, by="position", value=None, hits=7)], "7 hits at places that are not known"),
        ([row(0), row(0, by="category", value=None)], '<td class="name">unknown</td>'),
    ],
)
def test_what_cannot_be_drawn_is_said(rows: list[dict[str, Any]], words: str) -> None:
    assert words in page(rows)


def test_many_categories_are_cut_to_those_with_the_most_hits() -> None:
    made = page([row(0), *(row(0, by="category", value=f"c{n}", hits=n) for n in range(30))])
    assert "the 20 of 30 with the most hits" in made
    assert "c29" in made
    assert ">c9<" not in made


def test_a_missing_day_interrupts_a_line_and_the_scale_begins_at_zero() -> None:
    points = tuple(Point(day(n), 1.0 + n, "") for n in (0, 1, 3, 4))
    drawn = curves([Curve("treatment", "treatment", points)], "rate", str)
    assert len(re.findall(r'<path class="l treatment"', drawn)) == 2
    assert ">0.0<" in drawn
    assert tiny(Curve("treatment", "treatment", points)).count("<path") == 2


def test_one_day_and_no_day() -> None:
    one = Curve("control", "control", (Point(day(0), 0.0, "nothing", grows=True),))
    drawn = curves([one, Curve("treatment", "treatment", ())], "rate", str)
    assert drawn.count("9 Nov 2026") == 1
    assert 'aria-label="rate: control"' in drawn
    assert curves([], "rate", str) == tiny(one) == ""
