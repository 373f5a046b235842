"""Worlds that are small, not wrong: they serve."""

from typing import TYPE_CHECKING

import pytest

from tests.e2e.product import Make, Product
from tests.e2e.refusals import FIRST
from tests.features.world import ago, events

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def test_a_user_who_has_seen_everything_and_long_lists(make: Make, shared_spark: "SparkSession") -> None:
    days = {
        3: events(ago(3), (1, 101, "click"), (2, 101, "click"), (3, 102, "click")),
        2: events(ago(2), (1, 102, "click"), (2, 102, "click")),
        1: events(ago(1), (1, 103, "click")),  # user 1 knows all three, user 2 two of them, user 3 one
    }
    product = make(days).change({"lists": {"n": 1000, "fallback_size": 1000}})
    serve(product)
    answers = {user: product.reader.lookup(user) for user in (1, 2, 3, 4)}
    assert (answers[1].kind, answers[1].source_ids) == ("list", ())
    assert (answers[2].kind, answers[2].source_ids) == ("list", (103,))
    assert (answers[3].kind, set(answers[3].source_ids)) == ("list", {101, 103})
    assert (answers[4].kind, answers[4].source_ids) == ("fallback", (102, 101, 103))


@pytest.mark.parametrize("pairs", [[(1, 101), (1, 102)], [(1, 101), (2, 101)]], ids=["one user", "one source"])
def test_the_smallest_worlds_serve(make: Make, pairs: list[tuple[int, int]], shared_spark: "SparkSession") -> None:
    product = make({day: events(ago(day), *((*pair, "click") for pair in pairs)) for day in (3, 2, 1)})
    serve(product)
    for user, _ in pairs:
        answer = product.reader.lookup(user)
        assert (answer.kind, answer.source_ids) == ("list", ())  # they know all that there is
    assert set(product.reader.lookup(9).source_ids) == {source for _, source in pairs}


def serve(product: Product) -> None:
    with product.loading():
        ended = product.run(*FIRST)
    assert ended.code == 0, ended.log
