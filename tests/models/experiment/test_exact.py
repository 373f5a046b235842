"""Products of integers are exact, and names of metrics can be read again."""

import numpy as np
import pytest

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
