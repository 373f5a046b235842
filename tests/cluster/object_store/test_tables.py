"""Spark and pyarrow on one object store: tables appear whole, without a copy; what is refused is told at once."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sf

from conf.errors import ConfigError
from deploy.servers.s3_server import KEY, SECRET, S3Server
from jobs.storage.errors import NoAnswer
from jobs.storage.store import Storage
from jobs.storage.tables import Tables
from tests.cluster.object_store.conftest import BUCKET, connect_anew
from tests.publish.support.samples import closed_port

ROWS = pa.schema([("user_id", pa.int64())])
_WRITE_FOR_EVER = """
import sys, pyarrow as pa
from jobs.storage.store import Storage
batch = pa.record_batch([pa.array(range(1_000_000), pa.int64())], ["user_id"])
def batches():
    while True:
        yield batch
        print("more", flush=True)
Storage(sys.argv[1]).write_table("half", batches(), batch.schema)
"""


@pytest.fixture
def home(s3: S3Server, tmp_path: Path) -> Storage:
    """A new folder on S3, as a user writes it for Spark."""
    return Storage(f"s3a://{BUCKET}{tmp_path}")


@pytest.fixture
def anew(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """The environment of somebody else; pyarrow connects anew, and once more afterwards."""
    connect_anew()
    yield monkeypatch
    connect_anew()


def test_a_table_of_spark_appears_whole_without_a_copy(spark_on_s3: SparkSession, home: Storage, s3: S3Server) -> None:
    before = len(s3.requests())
    tables = Tables(spark_on_s3, home)
    assert tables.write("rows", spark_on_s3.range(0, 1000, 1, 3).toDF("user_id"), ROWS) == 1000
    found = home.table("rows").to_table()["user_id"].to_pylist()
    assert sorted(found) == sorted(row.user_id for row in tables.read("rows").collect()) == [*range(1000)]
    asked = s3.requests()[before:]
    assert [line for line in asked if line.startswith("copy")] == []
    at = f"/{BUCKET}{home.location.path}/rows/part-"
    uploads = [line for line in asked if line.startswith(f"POST {at}") and "uploads" in line]
    ends = [line for line in asked if line.startswith(f"POST {at}") and "uploadId" in line]
    assert len(uploads) == len(ends) == 3, "each file goes to its own name, and is finished there"
    assert [name for name, _ in home.tree("rows") if name.startswith("_") and name != "_SUCCESS"] == []


def test_days_of_a_failed_job_do_not_appear_and_those_before_stay(spark_on_s3: SparkSession, home: Storage) -> None:
    def write(rows: DataFrame) -> None:
        rows.write.mode("append").partitionBy("dt").parquet(home.spark_path("days"))

    write(spark_on_s3.range(10).withColumn("dt", sf.lit("2026-11-01")))
    kept = [name for name, _ in home.tree("days") if name.endswith(".parquet")]
    half = spark_on_s3.range(0, 100, 1, 4).withColumn("dt", sf.lit("2026-11-02"))
    broken = sf.when(sf.col("id") == 99, sf.raise_error(sf.lit("half-way"))).otherwise(sf.col("id"))
    with pytest.raises(Exception, match="half-way"):
        write(half.withColumn("id", broken.cast("bigint")))
    assert [name for name, _ in home.tree("days") if name.endswith(".parquet")] == kept
    write(half)
    assert spark_on_s3.read.parquet(home.spark_pattern("days")).groupBy("dt").count().count() == 2


def test_a_writer_that_is_killed_leaves_nothing(home: Storage) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _WRITE_FOR_EVER, home.uri], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        for _ in range(4):  # 32 MB: parts are on the server by now
            assert writer.stdout.readline() == "more\n"
        writer.kill()
    assert [name for name, _ in home.tree("half")] == []
    assert not home.finished("half")
    assert home.write_table("half", [pa.record_batch([pa.array([1])], ROWS)], ROWS) == 1


def test_what_is_wrong_is_told_within_seconds(home: Storage, anew: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"s3://nobody/x: there is no bucket 'nobody'; make it"):
        Storage("s3a://nobody/x").exists("y")
    anew.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    connect_anew()
    with pytest.raises(NoAnswer, match=r"cannot be read .*ACCESS_DENIED.*check its address, its credentials") as error:
        home.files()
    assert "hunter2" not in str(error.value)
    assert error.value.exit_code == 1
    anew.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{closed_port()}")
    connect_anew()
    with pytest.raises(NoAnswer, match=rf"s3://{BUCKET}/\S+ (cannot be read|gave no answer)"):
        home.files()


def test_keys_are_in_no_setting_that_spark_shows(spark_on_s3: SparkSession) -> None:
    shown = [*spark_on_s3.sparkContext.getConf().getAll(), *spark_on_s3.conf.getAll.items()]
    assert [name for name, value in shown if SECRET in value] == []
    hadoop = spark_on_s3.sparkContext._jsc.hadoopConfiguration()
    assert hadoop.get("fs.s3a.access.key") == KEY, "executors have it from here"
