"""Lists for every user, through Spark."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from conf import contract
from conf.ids import IdKind
from conf.settings import ListSettings
from models.lists.candidates import Candidates
from models.lists.fallback import Fallback
from models.lists.topn import excluded_sources, list_schema, load_candidates, precompute_lists
from tests.models.worlds import ids_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

KINDS = pytest.mark.parametrize("kind", ["int64", "string"])

USERS = {
    1: (1.0, 0.0),  # likes sources with a large first factor
    2: (0.0, 1.0),  # likes those with a large second one, excluded from the best
    3: (0.0, 0.0),  # has factors, but never moved: gets the fallback
    4: (1.0, 0.0),  # has seen everything
}
EXCLUDED = [
    (2, 30, "seen"),
    (2, 30, "subscribed"),  # one source for two reasons
    (2, 99, "blocked"),  # not in the candidates
    (3, 20, "seen"),
    (4, 10, "seen"),
    (4, 20, "seen"),
    (4, 30, "seen"),
    (5, 10, "blocked"),  # exclusions without factors
    (6, 10, "seen"),  # everything in the fallback
    (6, 20, "seen"),
    (6, 40, "seen"),
]
FACTORS = {10: (3.0, 0.0), 20: (2.0, 1.0), 30: (1.0, 2.0), 40: (9.0, 9.0)}  # 40 is not eligible


class World:
    """The tables of a small run of one kind of ids."""

    def __init__(self, spark: "SparkSession", folder: Path, kind: IdKind) -> None:
        self.spark, self.kind, self.folder = spark, kind, str(folder / "candidates")
        factors = pa.list_(pa.float32())
        source_factors = pa.Table.from_arrays(
            [self.ids(FACTORS), pa.array(list(FACTORS.values()), factors)], schema=contract.source_factors(kind)
        )
        null = pa.nulls(4)
        columns = [
            self.ids(FACTORS),
            pa.array([True, True, True, False]),
            null,
            null,
            pa.array([5, 4, 3, 9]),
            pa.array([1.0] * 4),
        ]
        sources = pa.Table.from_arrays(
            [c.cast(t) for c, t in zip(columns, contract.sources(kind).types, strict=True)],
            schema=contract.sources(kind),
        )
        Candidates.build(ds.dataset(source_factors), sources, kind).save(self.folder)
        self.fallback = Fallback(self.ids([10, 20, 40]), np.array([5, 4, 2], np.float32))
        self.user_factors = self.table(
            contract.user_factors(kind), self.ids(USERS), pa.array(list(USERS.values()), factors)
        )
        users, excluded, reasons = zip(*EXCLUDED, strict=True)
        self.exclusions = self.table(contract.exclusions(kind), self.ids(users), self.ids(excluded), pa.array(reasons))

    def ids(self, numbers: Any) -> pa.Array:
        return ids_of(numbers, self.kind)

    def table(self, schema: pa.Schema, *columns: pa.Array) -> "DataFrame":
        return self.spark.createDataFrame(pa.Table.from_arrays(list(columns), schema=schema))

    def lists(self, users: "DataFrame | None" = None, block: int = 2, **limits: Any) -> "DataFrame":
        folder = partial(str, self.folder)
        settings = ListSettings(**{"n": 2, "fallback_size": 3, **limits})
        return precompute_lists(
            self.user_factors,
            excluded_sources(self.exclusions, users),
            users,
            folder,
            self.fallback,
            settings,
            block,
            self.kind,
        )

    def rows(self, lists: "DataFrame") -> dict[int, tuple[list[int], list[float], bool]]:
        """By number of the user: numbers of the sources, scores, personal."""
        return {
            _number(row["user_id"]): ([_number(i) for i in row["source_ids"]], row["scores"], row["personal"])
            for row in lists.collect()
        }


def _number(name: int | str) -> int:
    return name if isinstance(name, int) else int(name.removeprefix("id"))


EXPECTED = {
    1: ([10, 20], [3.0, 2.0], True),
    2: ([20, 10], [1.0, 0.0], True),
    3: ([10, 40], [5.0, 2.0], False),
    4: ([], [], True),
    5: ([20, 40], [4.0, 2.0], False),
    6: ([], [], False),
}


@KINDS
def test_every_user_gets_the_list_they_should(spark: "SparkSession", tmp_path: Path, kind: IdKind) -> None:
    world = World(spark, tmp_path, kind)
    found = world.lists()
    assert found.schema == list_schema(kind)
    assert world.rows(found) == EXPECTED


def test_only_the_users_asked_for_are_served_whatever_the_block(spark: "SparkSession", tmp_path: Path) -> None:
    world = World(spark, tmp_path, "int64")
    asked = world.table(contract.audience("int64"), world.ids([2, 5, 7]))  # of user 7 nothing is known: no row
    for block in (1, 1000):
        assert world.rows(world.lists(asked, block)) == {user: EXPECTED[user] for user in (2, 5)}


def test_rules_reach_the_lists(spark: "SparkSession", tmp_path: Path) -> None:
    world = World(spark, tmp_path, "int64")
    assert world.rows(world.lists(min_score=0.5))[2] == ([20], [1.0], True)


def test_a_worker_loads_the_catalogue_once(spark: "SparkSession", tmp_path: Path) -> None:
    world = World(spark, tmp_path, "int64")
    assert load_candidates(world.folder) is load_candidates(world.folder)
