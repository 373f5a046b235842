"""A real S3 of one process, whose jars are downloaded once, and a Spark of its own that reads it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from conf.location import Location
from deploy.servers.java import find_java
from deploy.servers.kafka_jars import cache_folder, ensure_jars
from deploy.servers.s3_server import S3A_LOCK_FILE, S3Server
from jobs.storage import filesystems
from jobs.storage.s3 import COMMITTER, prepare_spark
from tests.support.spark import small_session

BUCKET = "bucket"


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """The session's S3, with one bucket; the environment names it and its keys."""
    with S3Server(tmp_path_factory.mktemp("s3")) as server, pytest.MonkeyPatch.context() as environ:
        server.make_bucket(BUCKET)
        for name, value in server.environment.items():
            environ.setenv(name, value)
        connect_anew()
        yield server
    connect_anew()


@pytest.fixture(scope="session")
def s3a_jars() -> str:
    """What Spark needs for s3a://, as its option --jars wants it."""
    return ",".join(map(str, ensure_jars(find_java(), cache_folder(), lock_file=S3A_LOCK_FILE)))


@pytest.fixture(scope="session")
def spark(s3: S3Server, s3a_jars: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """A small Spark session that can open s3a://; its Java finds the keys of `s3` in its environment."""
    session = small_session(tmp_path_factory.mktemp("warehouse"), spark_jars=s3a_jars)
    yield session
    session.stop()


@pytest.fixture
def spark_on_s3(spark: SparkSession, s3: S3Server) -> Iterator[SparkSession]:
    """The session as a run on S3 prepares it; afterwards it writes as before."""
    before = {name: spark.conf.get(name, None) for name in COMMITTER}
    prepare_spark(spark, [Location.parse(f"s3a://{BUCKET}/")])
    yield spark
    for name, value in before.items():
        spark.conf.unset(name) if value is None else spark.conf.set(name, value)


@pytest.fixture
def root(s3: S3Server, tmp_path: Path) -> str:
    """A new folder on S3."""
    return f"s3://{BUCKET}{tmp_path}"


def connect_anew() -> None:
    """Lets pyarrow forget its file systems and whose they are."""
    filesystems._answering.cache_clear()
    filesystems._connect.cache_clear()
