"""The sample of lists holds all that made them, whoever lacks factors, exclusions or a list."""

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from conf import contract
from conf.ids import IdKind
from expectations.drift.list_sample import list_sample, read_list_sample

LISTS = {
    "user_id": [3, 1, 2],
    "source_ids": [[10, 11], [12], []],
    "scores": [[0.5, 0.25], [0.75], []],
    "personal": [True, True, False],
}
FACTORS = {"user_id": [1, 3, 9], "factors": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]}
EXCLUSIONS = {"user_id": [3, 3, 3, 9], "source_id": [20, 21, 20, 22]}


def of_kind(columns: dict[str, list[object]], kind: IdKind) -> dict[str, list[object]]:
    """The columns with ids of a kind."""

    def as_id(value: object) -> object:
        if isinstance(value, list):
            return [*map(as_id, value)]
        return str(value) if kind == "string" else value

    return {
        name: [*map(as_id, values)] if name.endswith(("_id", "_ids")) else values for name, values in columns.items()
    }


def tables(kind: IdKind) -> list[pa.Table]:
    schemas = (contract.lists(kind), contract.user_factors(kind), contract.exclusions(kind))
    fields = [pa.schema([one for one in schema if one.name != "reason"]) for schema in schemas]
    columns = (LISTS, FACTORS, EXCLUSIONS)
    return [pa.table(of_kind(rows, kind), schema) for rows, schema in zip(columns, fields, strict=True)]  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["int64", "string"])
def test_every_list_has_what_made_it(kind: IdKind) -> None:
    made = list_sample(*tables(kind), kind)
    assert made.schema == contract.list_sample(kind)
    rows = [{**row, "excluded": sorted(row["excluded"])} for row in made.to_pylist()]
    found = {name: [row[name] for row in rows] for name in rows[0]}
    assert found == of_kind(
        {
            "user_id": [1, 2, 3],
            "source_ids": [[12], [], [10, 11]],
            "score": [0.75, None, 0.5],
            "personal": [True, False, True],
            "factors": [[1.0, 2.0], None, [3.0, 4.0]],
        },
        kind,
    ) | {"excluded": [[], [], [*of_kind({"source_ids": [20, 21]}, kind)["source_ids"]]]}


def test_nothing_is_a_sample_of_nothing() -> None:
    made = list_sample(*(table.slice(0, 0) for table in tables("int64")), "int64")
    assert made == contract.list_sample("int64").empty_table()


def test_the_same_users_are_read_of_every_table(spark: SparkSession) -> None:
    kind: IdKind = "int64"
    users = [*range(20_000)]
    lists = pa.table(
        {
            "user_id": users,
            "source_ids": [[1]] * len(users),
            "scores": [[1.0]] * len(users),
            "personal": [True] * len(users),
        },
        contract.lists(kind),
    )
    factors = pa.table({"user_id": users, "factors": [[1.0]] * len(users)}, contract.user_factors(kind))
    exclusions = pa.table({"user_id": users, "source_id": users})
    frames = [spark.createDataFrame(table) for table in (lists, factors, exclusions)]
    made = read_list_sample(frames[0], frames[1], frames[2], len(users), kind)
    assert 3_500 < made.num_rows < 4_700
    assert made["factors"].null_count == 0
    assert made["excluded"].to_pylist() == [[user] for user in made["user_id"].to_pylist()]
