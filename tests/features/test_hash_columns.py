"""The Spark columns of arm, partition and bucket are those of the contract."""

import json
from importlib import resources

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as sf

from conf import ids
from features.hash_columns import arm_column, bucket_column, partition_column

VECTORS = json.loads(resources.files("conf").joinpath("contract_vectors.json").read_text(encoding="utf-8"))


@pytest.mark.fault(26)
@pytest.mark.parametrize("kind", [int, str])
def test_columns_equal_the_vectors_and_the_contract(spark: SparkSession, kind: type) -> None:
    vectors = [vector for vector in VECTORS["users"] if isinstance(vector["user_id"], kind)]
    users = [vector["user_id"] for vector in vectors] + [kind(number) for number in range(-300, 300)]
    user = sf.col("user_id")
    columns = {
        "arm": arm_column(user, VECTORS["salt"]),
        "p8": partition_column(user, 8),
        "p12": partition_column(user, 12),
        "b5": bucket_column(user, 8, 5),
        "b10007": bucket_column(user, 12, 10_007),
    }
    rows = spark.createDataFrame(pa.table({"user_id": users})).withColumns(columns).toArrow().to_pylist()
    assert [(row["arm"], row["p8"], row["p12"], row["b5"]) for row in rows[: len(vectors)]] == [
        tuple(vector[name] for name in ("arm", "partition_of_8", "partition_of_12", "bucket_of_5_in_8"))
        for vector in vectors
    ]
    for row in rows:
        assert row["arm"] == ids.arm_of(row["user_id"], VECTORS["salt"])
        assert row["p12"] == ids.partition_of(row["user_id"], 12)
        assert row["b10007"] == ids.bucket_of(row["user_id"], 12, 10_007)


@pytest.mark.fault(26)
def test_python_and_spark_put_everybody_in_the_same_arm(spark: SparkSession) -> None:
    """26: the audience that was computed is the audience that is served."""
    users, salt = [*range(-500, 1_500), 2**63 - 1, -(2**63)], "discovery-1"
    columns = {"arm": arm_column(sf.col("user_id"), salt), "home": partition_column(sf.col("user_id"), 12)}
    rows = spark.createDataFrame(pa.table({"user_id": users})).withColumns(columns).toArrow().to_pylist()
    for row in rows:
        assert (row["arm"], row["home"]) == (ids.arm_of(row["user_id"], salt), ids.partition_of(row["user_id"], 12))
    assert len(rows) == len(users)
