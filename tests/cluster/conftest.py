"""A real HDFS and YARN, whose jars are downloaded once; a real Spark standalone cluster, and products for it."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conf.connections import KafkaConnection
from deploy.chain import REPO
from deploy.servers.hadoop_cluster import HadoopCluster, namespace_command
from deploy.servers.spark_cluster import SparkCluster
from jobs.run.context import Run
from jobs.storage import filesystems
from tests.e2e.conftest import Literal, write_days
from tests.e2e.deaths import RUN
from tests.e2e.product import Product, Servers
from tests.e2e.refusals import FIRST

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

MakeProduct = Callable[..., Product]
"""Makes a product of a test's own, the same but for its name, its folder and the given settings."""


@pytest.fixture(scope="session")
def hadoop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HadoopCluster]:
    """The session's HDFS and YARN, whose nodes see neither this repository nor its environment where we may hide it."""
    hidden = [REPO] if namespace_command() else []
    with HadoopCluster(tmp_path_factory.mktemp("hadoop"), hidden=hidden) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def hdfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HadoopCluster]:
    """The session's HDFS without YARN, which starts sooner; its superuser is the one who runs the tests."""
    with HadoopCluster(tmp_path_factory.mktemp("hdfs"), node_managers=0) as cluster:
        yield cluster


@pytest.fixture
def become(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Makes pyarrow's calls those of another user of HDFS, until the test ends."""

    def connect_anew() -> None:
        filesystems._answering.cache_clear()
        filesystems._connect.cache_clear()

    def change(user: str) -> None:
        monkeypatch.setenv("HADOOP_USER_NAME", user)
        connect_anew()

    yield change
    connect_anew()


@pytest.fixture(params=["local", "hdfs"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A new folder of each kind of storage."""
    if request.param == "local":
        return str(tmp_path)
    cluster: HadoopCluster = request.getfixturevalue("hdfs")
    return f"{cluster.uri}{tmp_path}"


@pytest.fixture(scope="session")
def standalone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkCluster]:
    """The session's Spark standalone cluster: a master and two workers of two cores."""
    with SparkCluster(tmp_path_factory.mktemp("spark")) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def make_product(
    kafka: KafkaConnection, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Product]:
    """A crowd of forty users; work folder and MLflow's store are files of this machine."""
    numbers = itertools.count()
    servers = Servers(kafka.servers, redis_url, f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db")

    def make(**changes: Any) -> Product:
        name = f"standalone_{next(numbers)}"
        home = tmp_path_factory.mktemp(name)
        return Product.create(servers, home, write_days(home / "data", Literal.crowd(), product=name) | changes)

    return make


def compute_locally(product: Product, spark: "SparkSession") -> Product:
    """Makes the lists with a Spark of one process, and does not publish them; returns the product."""
    ended = product.run(*FIRST, "--run-id", RUN, work=_compute)
    assert ended.code == 0, ended.log
    return product


def _compute(run: Run) -> None:
    from jobs.stages.features import build_features  # here, because it imports Spark
    from jobs.stages.lists import precompute_topn
    from jobs.stages.training.train import train_embeddings

    for stage in (build_features, train_embeddings, precompute_topn):
        stage(run)
