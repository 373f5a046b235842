"""What users newly engaged with beside the lists they had: above chance, unless ids are mixed up."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from conf import contract
from conf.ids import IdKind
from expectations.drift.history import Measured
from expectations.drift.served_numbers import Served, served_numbers

USERS, SOURCES, N = 200, 400, 20
DAYS = (dt.date(2026, 11, 9), dt.date(2026, 11, 10))
MADE_OF = {day: f"of {day}" for day in DAYS}


class World:
    """Users with factors, lists of their best sources, and engagements with what they love."""

    def __init__(self, kind: IdKind = "int64") -> None:
        rng = np.random.default_rng(5)
        self.kind = kind
        self.users, self.sources = rng.standard_normal((USERS, 8)), rng.standard_normal((SOURCES, 8))
        scores = self.users @ self.sources.T
        self.best = np.argsort(-scores, axis=1)
        self.loved = [
            (day, u, s) for u in range(USERS) for i, s in enumerate(self.best[u, :10]) for day in [DAYS[i % 2]]
        ]

    def user(self, place: int) -> int | str:
        return f"u{place:04}" if self.kind == "string" else 1000 + place

    def source(self, place: int) -> int | str:
        return f"s{place:04}" if self.kind == "string" else 5000 + place

    def served(self, excluded: int = 0) -> Served:
        """The lists without the best `excluded` sources of each user."""
        rows = {
            "user_id": [self.user(u) for u in range(USERS)],
            "source_ids": [[self.source(s) for s in self.best[u, excluded : excluded + N]] for u in range(USERS)],
            "score": [1.0] * USERS,
            "personal": [True] * USERS,
            "factors": [row.tolist() for row in self.users],
            "excluded": [[self.source(s) for s in self.best[u, :excluded]] for u in range(USERS)],
        }
        factors = {"source_id": [self.source(s) for s in range(SOURCES)], "factors": [r.tolist() for r in self.sources]}
        return Served(
            pa.table(rows, contract.list_sample(self.kind)),
            pa.table(factors, contract.source_factors(self.kind)),
            pa.array([self.source(s) for s in range(N)]),
            USERS,
        )

    def engaged(self, pairs: list[tuple[dt.date, int, int]]) -> pa.Table:
        kind = contract.user_factors(self.kind).field("user_id").type
        columns = [[day, self.user(u), self.source(s)] for day, u, s in pairs]
        days, users, sources = zip(*columns, strict=True)
        return pa.table(
            {"dt": pa.array(days, pa.date32()), "user_id": pa.array(users, kind), "source_id": pa.array(sources, kind)}
        )


def numbers(found: list[Measured], day: dt.date = DAYS[0]) -> dict[str, float]:
    return {one.name: one.value for one in found if one.day == day}


@pytest.mark.parametrize("kind", ["int64", "string"])
def test_what_was_promised_comes_true(kind: IdKind) -> None:
    world = World(kind)
    found = served_numbers(world.served(), world.engaged(world.loved), MADE_OF)
    for day in DAYS:
        assert numbers(found, day)["listed"] == 1.0
        assert numbers(found, day)["rank"] > 0.97
        assert numbers(found, day)["over_popularity"] > 5
    assert {one.made_of for one in found if one.day == DAYS[0]} == {"of 2026-11-09"}


def test_mixed_up_users_make_it_chance() -> None:
    world = World()
    mixed = [(day, (u + 1) % USERS, s) for day, u, s in world.loved]
    found = numbers(served_numbers(world.served(), world.engaged(mixed), MADE_OF))
    assert found["listed"] < 0.1
    assert found["rank"] == pytest.approx(0.5, abs=0.05)


def test_what_a_list_could_not_hold_does_not_count() -> None:
    """Excluded sources, repeated pairs, and sources without factors."""
    world = World()
    more = [*world.loved, *[(DAYS[1], u, s) for _, u, s in world.loved]]
    found = served_numbers(world.served(excluded=4), world.engaged(more), MADE_OF)
    assert numbers(found)["listed"] == 1.0
    assert {one.n for one in found if one.name == "listed"} == {USERS * 3.0}
    unknown = world.engaged([(DAYS[0], u, SOURCES + u) for u in range(USERS)])
    assert served_numbers(world.served(), unknown, MADE_OF) == []


def test_a_day_with_few_new_engagements_says_nothing() -> None:
    world = World()
    assert served_numbers(world.served(), world.engaged(world.loved[:20]), MADE_OF) == []
