"""The whole job on YARN, with its data and work folder on HDFS, on machines that do not have its code or packages."""

import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pyspark
import pytest

from conf.connections import KafkaConnection
from deploy.archive import write_archive
from deploy.chain import REPO
from deploy.environment import shell_variables
from deploy.environment_archive import write_environment
from deploy.servers.hadoop_cluster import HadoopCluster
from jobs.storage.store import Storage
from tests.cluster.days import upload_day
from tests.e2e.conftest import Literal, settings_of
from tests.e2e.product import Product, Servers
from tests.features.world import AS_OF, ago

PACKAGES = {
    *(
        "annotated-types",
        "charset-normalizer",
        "cloudpickle",
        "confluent-kafka",
        "llvmlite",
        "numba",
        "numpy",
        "pandas",
    ),
    *("protobuf", "pyarrow", "pydantic", "pydantic-core", "python-dateutil", "pytz", "pyyaml", "scipy", "six"),
    *("threadpoolctl", "typing-extensions", "typing-inspection", "tzdata", "xxhash"),
}
"""What workers import; the others of the job are hundreds of megabytes more."""
UNUSED = {
    *("breeze", "cats-", "datanucleus", "derby", "hive-", "kubernetes", "mllib", "orc-"),
    *("rocksdb", "scala-compiler", "spire"),
}
"""Jars of Spark that executors of this job do not load."""


@dataclass(frozen=True)
class Parcels:
    """What travels: the addresses of Spark's jars and of the environment, and the packages of this repository."""

    jars: str
    environment: str
    code: Path


@pytest.fixture(scope="module")
def hadoop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HadoopCluster]:
    """HDFS and YARN whose nodes see neither this repository nor its environment."""
    with HadoopCluster(tmp_path_factory.mktemp("hadoop"), hidden=(REPO,)) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def parcels(hadoop: HadoopCluster, tmp_path_factory: pytest.TempPathFactory) -> Parcels:
    """On HDFS but for the code, which spark-submit sends."""
    folder, at = tmp_path_factory.mktemp("parcels"), Storage(f"{hadoop.uri}/parcels")
    with zipfile.ZipFile(folder / "spark.zip", "w") as archive:
        for jar in Path(pyspark.__file__).parent.glob("jars/*.jar"):
            if not any(word in jar.name for word in UNUSED):
                archive.write(jar, jar.name)
    assert write_environment(folder / "environment.tar.gz", PACKAGES) > 1000
    assert write_archive(folder / "discovery.zip") > 100
    for name in ("spark.zip", "environment.tar.gz"):
        at.write_bytes(name, (folder / name).read_bytes())
    return Parcels(f"{at.uri}/spark.zip", f"{at.uri}/environment.tar.gz", folder / "discovery.zip")


@pytest.fixture(scope="module")
def product(
    hadoop: HadoopCluster, kafka: KafkaConnection, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Product:
    """Its work folder and three days of clicks are on HDFS; its YAML and MLflow's store are on the driver's machine."""
    mine, there = tmp_path_factory.mktemp("yarn"), Storage(f"{hadoop.uri}/discovery")
    for number, rows in Literal.crowd().items():
        upload_day(there.child("data/clicks"), ago(number), rows)
    settings = settings_of(mine, product="yarn") | {"data_root": f"{there.uri}/data"}
    servers = Servers(kafka.servers, redis_url, f"sqlite:///{mine}/mlflow.db")
    made = Product.create(servers, mine, settings)
    return replace(made, variables={"DISCOVERY_HOME": f"{there.uri}/home"})


@pytest.fixture(scope="module")
def ended(hadoop: HadoopCluster, parcels: Parcels, product: Product) -> tuple[int, str]:
    """Exit code and log of the job, while the loader runs."""
    settings = {
        "spark.yarn.archive": parcels.jars,
        "spark.pyspark.python": "./environment/bin/python",
        "spark.pyspark.driver.python": sys.executable,
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.yarn.am.memory": "512m",
    }
    options = ["--num-executors", "2", "--executor-memory", "700m", "--driver-memory", "1g"]
    options += ["--archives", f"{parcels.environment}#environment", "--py-files", str(parcels.code)]
    for name, value in settings.items():
        options += ["--conf", f"{name}={value}"]
    argv = ["spark-submit", "--master", "yarn", "--deploy-mode", "client", *options, "jobs/prod_discovery.py"]
    log = product.home / "job.log"
    with product.loading(), log.open("wb") as file:
        flags = product.flags("--as-of", str(AS_OF), "--first")
        done = subprocess.run(
            [*argv, *flags], cwd=REPO, env=_variables(product, hadoop), stdout=file, stderr=file, check=False
        )
    return done.returncode, log.read_text()


def _variables(product: Product, hadoop: HadoopCluster) -> Mapping[str, str]:
    """The shell of somebody at the edge of a cluster: nothing of `make up`'s one machine."""
    ours = shell_variables(product.home, product.servers.variables, product.config)
    variables = {**os.environ, **ours, **product.environment, **hadoop.environment}
    for name in ("SPARK_CONF_DIR", "PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON"):
        variables.pop(name, None)
    return variables


def test_the_nodes_do_not_see_this_folder(hadoop: HadoopCluster) -> None:
    (java,) = psutil.Process(hadoop.pid).children()
    assert [*Path(f"/proc/{java.pid}/root{REPO}").iterdir()] == []


def test_every_list_that_was_made_on_yarn_is_served(product: Product, ended: tuple[int, str]) -> None:
    code, log = ended
    assert code == 0, log
    (run,) = product.published().runs
    folder = Storage(f"{product.environment['DISCOVERY_HOME']}/runs/{product.name}/{run.name}")
    lists = {row["user_id"]: row["source_ids"] for row in folder.table("lists").to_table().to_pylist()}
    assert len(lists) == 40
    for user, sources in lists.items():
        answer = product.reader.lookup(user)
        assert (answer.run, answer.kind, list(answer.source_ids)) == (run.name, "list", sources)
