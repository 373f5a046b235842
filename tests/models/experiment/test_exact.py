"""Products of integers are exact, names of metrics can be read again, and sums are small."""

import numpy as np
import pytest

from models.experiment.cells import SliceCells, UserRows, cells_of
from models.experiment.exact import LARGEST, exact_products
from models.experiment.metric import Metric


@pytest.mark.parametrize("largest", [1, 2**17, 2**18, 2**36, LARGEST])
def test_products_are_those_of_whole_numbers(largest: int) -> None:
    chance = np.random.default_rng(largest)
    left, right = (chance.integers(-largest, largest, (40, columns), endpoint=True) for columns in (3, 2))
    left[0, 0], right[0, 0] = largest, -largest
    assert exact_products(left, right).tolist() == (left.astype(object).T @ right.astype(object)).tolist()


def test_products_of_more_rows_than_a_block_are_exact() -> None:
    ones = np.full((2**17 + 3, 1), 2**18 - 1)
    assert exact_products(ones, ones).tolist() == [[(2**17 + 3) * (2**18 - 1) ** 2]]
    assert exact_products(ones[:0], ones[:0]).tolist() == [[0]]


@pytest.mark.parametrize(
    ("text", "metric"),
    [
        ("hits", Metric("hits")),
        ("events:event=a:b=c", Metric("events", "event", "a:b=c")),
        ("new:category", Metric("new", "category", None)),
        ("new:category=", Metric("new", "category", "")),
        ("hits/answers", Metric("hits/answers")),
    ],
)
def test_a_metric_is_read_as_it_was_written(text: str, metric: Metric) -> None:
    assert (Metric.parse(text), str(metric)) == (metric, text)


def test_amounts_are_summed_in_parts_and_ratios_have_two() -> None:
    assert [Metric.parse(text).unit for text in ("owned_amount:event=watch", "hits")] == [2**20, 1]
    assert (Metric("hits/answers").parts, Metric("hits").parts) == (("hits", "answers"), None)


def test_half_a_year_at_twenty_shares_stays_below_50_kb_a_week_and_metric() -> None:
    """The numbers are as large and as different as they can be; the users of one slice, twenty times."""
    weeks, slices, chance = 26, 21, np.random.default_rng(1)
    users = np.repeat(np.arange(2_000), weeks + 1)
    week, names = np.tile(np.arange(weeks + 1), 2_000), ["audience", "answers", "hits"]
    cells = SliceCells(weeks)
    metric = np.repeat(np.arange(3), len(users))
    x = np.concatenate([np.ones(len(users)), *chance.integers(0, 1_000_000, (2, len(users)))])
    kept = chance.random(len(x)) < 0.9
    rows = (np.tile(users, 3)[kept], np.tile(week, 3)[kept], metric[kept], x[kept])
    for name, sums in cells_of(UserRows(2_000, *rows, names, weeks)):
        cells.matrix(name)[:] = sums
    size = len(cells.moments("hits/answers").to_bytes())
    assert size > 10_000
    assert size * slices / weeks < 50_000
