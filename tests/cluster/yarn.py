"""A product on HDFS, and its job on YARN, on nodes that have neither our code nor Python's packages."""

import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyspark

from deploy.archive import write_archive
from deploy.environment_archive import write_environment
from deploy.servers.hadoop_cluster import HadoopCluster
from jobs.storage.store import Storage
from tests.cluster.days import upload_day
from tests.e2e.product import Product, Servers
from tests.e2e.submit import started, variables_of
from tests.features.world import AS_OF, ago, events

FLAGS = ("--as-of", str(AS_OF), "--first")
TABLES = {"interactions": ("user_id", "source_id"), "user_factors": ("user_id",), "lists": ("user_id",)}
"""Tables of a run, and the columns that put their rows in order."""
PACKAGES = {
    *("annotated-types", "charset-normalizer", "cloudpickle", "confluent-kafka", "llvmlite", "numba", "numpy"),
    *("pandas", "protobuf", "pyarrow", "pydantic", "pydantic-core", "python-dateutil", "pytz", "pyyaml", "scipy"),
    *("six", "threadpoolctl", "typing-extensions", "typing-inspection", "tzdata", "xxhash"),
}
"""What workers import; the others of the job are hundreds of megabytes more."""
UNUSED = {
    *("breeze", "cats-", "datanucleus", "derby", "hive-", "kubernetes", "mllib", "orc-"),
    *("rocksdb", "scala-compiler", "spire"),
}
"""Jars of Spark that executors of this job do not load."""
_JAVA = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"
"""For a process that lives for a minute."""


@dataclass(frozen=True)
class Parcels:
    """What travels to nodes that have Spark: packages of Python, on HDFS, and ours, which spark-submit sends."""

    jars: Path
    environment: str
    code: Path

    @classmethod
    def pack(cls, folder: Path, cluster: HadoopCluster) -> "Parcels":
        """Installs Spark's jars outside of the folder that nodes do not see, and packs the rest."""
        jars, there = folder / "jars", Storage(f"{cluster.uri}/parcels")
        jars.mkdir(parents=True)
        for jar in Path(pyspark.__file__).parent.glob("jars/*.jar"):
            if not any(word in jar.name for word in UNUSED):
                shutil.copy(jar, jars)
        environment, code = folder / "environment.tar", folder / "discovery.zip"
        assert write_environment(environment, PACKAGES) > 1000
        assert write_archive(code) > 100
        there.write_bytes(environment.name, environment.read_bytes())
        environment.unlink()
        return cls(jars, f"{there.uri}/{environment.name}", code)


@dataclass(frozen=True)
class OnYarn:
    """A product with what its job needs on YARN."""

    product: Product
    cluster: HadoopCluster
    parcels: Parcels

    @classmethod
    def create(cls, servers: Servers, folder: Path, cluster: HadoopCluster, settings: Mapping[str, Any]) -> "OnYarn":
        """Its work folder and data are on HDFS; its YAML and MLflow's store are on the driver's machine."""
        there = Storage(f"{cluster.uri}/{settings['product']}")
        for number, rows in crowd().items():
            upload_day(there.child("data/clicks"), ago(number), rows)
        product = Product.create(servers, folder / "home", {**settings, "data_root": f"{there.uri}/data"})
        made = replace(product, variables={"DISCOVERY_HOME": f"{there.uri}/home"})
        return cls(made, cluster, Parcels.pack(folder, cluster))

    @property
    def runs(self) -> Storage:
        """The folder of the product's runs."""
        return Storage(f"{self.product.environment['DISCOVERY_HOME']}/runs/{self.product.name}")

    @property
    def run(self) -> Storage:
        """The folder of its only run."""
        (folder,) = self.runs.files()
        return self.runs.child(folder.base_name)

    def has(self, table: str) -> bool:
        """Whether a run has finished this table."""
        return any(self.runs.child(folder.base_name).finished(table) for folder in self.runs.files())

    @contextmanager
    def submitted(self, *flags: str) -> Iterator[subprocess.Popen[bytes]]:
        """The job, while the loader runs; its log is `log`."""
        argv = ["spark-submit", "--master", "yarn", "--deploy-mode", "client", *self._options(), *self._job(*flags)]
        with self.product.loading(), started(argv, self._variables(), self.log) as job:
            yield job

    @property
    def log(self) -> Path:
        """What the latest job said."""
        return self.product.home / "job.log"

    def _job(self, *flags: str) -> list[str]:
        return ["jobs/prod_discovery.py", *self.product.flags(*FLAGS, *flags)]

    def _options(self) -> Iterator[str]:
        settings = {
            "spark.yarn.jars": f"local:{self.parcels.jars}/*",
            "spark.pyspark.python": "./environment/bin/python",
            "spark.pyspark.driver.python": sys.executable,
            "spark.executor.instances": "2",
            "spark.executor.memory": "512m",
            "spark.executor.extraJavaOptions": _JAVA,
            "spark.yarn.am.memory": "512m",
            "spark.yarn.am.extraJavaOptions": _JAVA,
            "spark.driver.extraJavaOptions": _JAVA,
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.locality.wait": "0s",
            "spark.ui.enabled": "false",
        }
        for name, value in settings.items():
            yield from ("--conf", f"{name}={value}")
        yield from ("--archives", f"{self.parcels.environment}#environment", "--py-files", str(self.parcels.code))

    def _variables(self) -> Mapping[str, str]:
        """The shell of somebody at the edge of a cluster: nothing of `make up`'s one machine."""
        variables = {**variables_of(self.product), **self.cluster.environment}
        for name in ("SPARK_CONF_DIR", "PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON"):
            variables.pop(name, None)
        return variables


def crowd() -> dict[int, pa.Table]:
    """Three days of two hundred users, who click three of sixty sources a day, most of the half that they like."""
    rows = [
        (user, (user % 2) * 30 + (user * user + 7 * day + 11 * click) % (31 + user % 3) + 101, day)
        for user in range(1, 201)
        for day in (1, 2, 3)
        for click in range(3)
    ]
    return {
        days: events(ago(days), *((user, source, "click") for user, source, day in rows if day == days))
        for days in (3, 2, 1)
    }


def containers(folder: Path) -> list[psutil.Process]:
    """The processes that work for the node manager of this folder."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if Path(process.cwd()).is_relative_to(folder):
                found.append(process)
    return found


def executors(folder: Path) -> list[psutil.Process]:
    """Spark's executors among them."""
    found = []
    for process in containers(folder):
        with suppress(psutil.Error):
            if process.name() == "java" and any("CoarseGrainedExecutorBackend" in word for word in process.cmdline()):
                found.append(process)
    return found


def tables_of(run: Storage) -> dict[str, pa.Table]:
    """The rows of TABLES in the one order that does not depend on who wrote them, each value as it was written."""
    return {
        name: run.table(name).to_table().sort_by([(key, "ascending") for key in keys]).combine_chunks()
        for name, keys in TABLES.items()
    }
