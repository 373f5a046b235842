"""The numbers of a run's interactions, judged recipe, factors and lists."""

import datetime as dt
from itertools import chain

import numpy as np
import pyarrow as pa
import pytest

from conf import contract
from expectations.drift.run_numbers import (
    factor_numbers,
    interaction_numbers,
    judged_numbers,
    list_numbers,
    made_after,
    measured,
    overlap_numbers,
)
from expectations.drift.statistics import statistic
from tests.expectations.profiles import interaction_profile, list_profile

AS_OF = dt.date(2026, 11, 16)


def sources(users: list[int]) -> pa.Table:
    count = len(users)
    rows = {
        "source_id": list(range(count)),
        "eligible": [True] * count,
        "category": [None] * count,
        "owner_id": [None] * count,
        "users": users,
        "weight": [1.0] * count,
    }
    return pa.table(rows, contract.sources("int64"))


def known(table: pa.Table) -> pa.Table:
    """Half of the sources exist for ten days, of the others it is not known."""
    since = [dt.datetime(2026, 11, 6, tzinfo=dt.UTC) if i % 2 else None for i in range(table.num_rows)]
    return pa.table({"source_id": table["source_id"], "since": pa.array(since, pa.timestamp("us", "UTC"))})


def sample(lists_: list[list[int]], excluded: int = 2) -> pa.Table:
    count = len(lists_)
    rows = {
        "user_id": list(range(count)),
        "source_ids": lists_,
        "score": [0.5] * count,
        "personal": [True] * count,
        "factors": [[1.0]] * count,
        "excluded": [list(range(excluded))] * count,
    }
    return pa.table(rows, contract.list_sample("int64"))


def of_lists(now: pa.Table, former: pa.Table | None = None, users: list[int] | None = None) -> dict[str, float]:
    of = sources(users or [1] * 10)
    found = [
        *list_numbers(list_profile(), now, of, known(of), AS_OF),
        *overlap_numbers(now, now if former is None else former),
    ]
    return {name: float(value) for name, value, *_ in found}


@pytest.mark.parametrize(
    ("days", "made_of"), [(1, "m"), (7, "m"), (10, "m"), (14, "m after 2 weeks"), (21, "m after 3 weeks")]
)
def test_overlap_is_compared_with_that_of_lists_as_old(days: int, made_of: str) -> None:
    assert made_after("m", days) == made_of


def test_every_number_is_a_statistic_of_its_kind() -> None:
    now, of = sample([[0, 1], [2, 3]]), sources([1] * 10)
    kinds = {
        "interactions": interaction_numbers(interaction_profile()),
        "judged": judged_numbers({"ndcg": 0.3, "popularity.ndcg": 0.1}),
        "factors": factor_numbers({"user": (1.0, 2.0, 3), "source": (1.0, 2.0, 4)}),
        "lists": chain(list_numbers(list_profile(), now, of, known(of), AS_OF), overlap_numbers(now, now)),
    }
    for kind, numbers in kinds.items():
        rows = measured(kind, AS_OF, "made alike", numbers)  # type: ignore[arg-type]
        assert rows
        for one in rows:
            assert statistic(one.kind, one.name) is not None, one.name
            assert (one.subject, one.day, one.made_of) == (kind, AS_OF, "made alike")


def test_a_recipe_that_was_not_judged_has_no_quality() -> None:
    assert [*judged_numbers({})] == []


@pytest.mark.parametrize(("now", "gini"), [([[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]], 0.0), ([[0], [0]], 0.9)])
def test_gini_says_how_unevenly_sources_are_listed(now: list[list[int]], gini: float) -> None:
    assert of_lists(sample(now))["gini"] == pytest.approx(gini)


def test_popularity_is_that_of_the_listed_sources_beside_all() -> None:
    users = [100, *[1] * 9]
    assert of_lists(sample([[0], [0]]), users=users)["popularity"] == pytest.approx(100 / np.mean(users))


def test_overlap_is_of_the_same_users() -> None:
    assert of_lists(sample([[0, 1], [2, 3]]), sample([[0, 5], [2, 3]]))["overlap"] == 0.75
    assert "overlap" not in of_lists(sample([[0, 1]]), sample([]))


def test_age_and_exclusions_are_means() -> None:
    found = of_lists(sample([[0, 1]], excluded=7))
    assert found["age_of_sources"] == 10.0
    assert found["excluded"] == 7.0
