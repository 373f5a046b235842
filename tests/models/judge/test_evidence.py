"""The evidence of the judged users is gathered in one shuffle."""

from collections import Counter
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from pyspark import StorageLevel

from conf import contract
from conf.ids import IdKind
from models.judge import gather_judged
from tests.models.worlds import ids_of, interactions_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

TRUTH = [(1, 10), (1, 11), (2, 10), (3, 12), (3, 12)]
SEEN = [(1, 20), (1, 21), (4, 20)]
EXCLUDED = [(1, 20), (1, 20), (3, 30), (4, 30)]


def judged(spark: "SparkSession", kind: IdKind) -> "DataFrame":
    def table(pairs: list[tuple[int, int]], schema: pa.Schema, last: pa.Array) -> "DataFrame":
        users, sources = zip(*pairs, strict=True)
        return spark.createDataFrame(
            pa.Table.from_arrays([ids_of(users, kind), ids_of(sources, kind), last], schema=schema)
        )

    return gather_judged(
        table(TRUTH, contract.holdout(kind), pa.array([1.0] * len(TRUTH))),
        spark.createDataFrame(interactions_of([(user, source, 1.0) for user, source in SEEN], kind)),
        table(EXCLUDED, contract.exclusions(kind), pa.array(["seen"] * len(EXCLUDED))),
        3,
    )


@pytest.mark.parametrize("kind", ["int64", "string"])
def test_users_with_a_truth_and_what_is_known_of_them(spark: "SparkSession", kind: IdKind) -> None:
    def ids(*numbers: int) -> Counter[int | str]:
        return Counter(ids_of(numbers, kind).to_pylist())

    found = {row["user_id"]: tuple(map(Counter, row[1:])) for row in judged(spark, kind).collect()}
    one, two, three = ids_of([1, 2, 3], kind).to_pylist()
    assert found == {
        one: (ids(10, 11), ids(20, 21), ids(20, 20)),
        two: (ids(10), ids(), ids()),
        three: (ids(12), ids(), ids(30)),
    }


def test_kept_rows_are_joined_without_another_shuffle(spark: "SparkSession") -> None:
    kept = judged(spark, "int64").persist(StorageLevel.DISK_ONLY)
    try:
        assert kept.count() == 3
        joined = kept.select("user_id", "truths").join(kept.select("user_id", "excluded"), "user_id", "full_outer")
        assert exchanges(joined) == 2 * exchanges(kept)  # those that made the kept rows, shown on both sides
        assert joined.count() == 3
    finally:
        kept.unpersist()


def exchanges(frame: "DataFrame") -> int:
    return str(frame._jdf.queryExecution().executedPlan().toString()).count("Exchange")
