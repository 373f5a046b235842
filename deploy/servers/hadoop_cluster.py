"""A real HDFS and a real YARN on loopback: name node, data nodes, resource manager, node managers.

They are threads of one JVM, but what YARN starts (Spark's executors) are processes of their own.
"""

import os
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from deploy.servers.errors import ServerBinaryNotFound
from deploy.servers.java import find_java
from deploy.servers.kafka_jars import cache_folder, ensure_jars
from deploy.servers.ports import LOOPBACK, answers
from deploy.servers.server import EmbeddedServer

LOCK_FILE = Path(__file__).with_name("hadoop-jars.lock")
SITES = ("core-site.xml", "hdfs-site.xml", "yarn-site.xml")
"""The files of the clients' configuration; each holds all of it, since YARN's defaults win over core-site.xml."""
_OF_SPARK = ("hadoop-client-*.jar", "slf4j-api-*.jar", "jcl-over-slf4j-*.jar", "log4j-*.jar")
"""What the cluster takes of the jars that pyspark ships."""


class HadoopCluster(EmbeddedServer):
    """An HDFS with `data_nodes` and a YARN with `node_managers`; what is stored is gone after a restart."""

    name = "hadoop"

    def __init__(
        self,
        folder: Path,
        *,
        node_managers: int = 2,
        data_nodes: int = 1,
        cache: Path | None = None,
        start_seconds: float = 180,
    ) -> None:
        super().__init__(folder, start_seconds=start_seconds)
        self._nodes = node_managers, data_nodes
        self._cache = cache_folder() if cache is None else cache
        self._class_path = ""

    @property
    def configuration(self) -> Path:
        """The folder of the clients' configuration."""
        return self.folder / "conf"

    @property
    def uri(self) -> str:
        """The address of HDFS."""
        return f"hdfs://{LOOPBACK}:{self.ports[0]}"

    @property
    def environment(self) -> dict[str, str]:
        """HADOOP_CONF_DIR and YARN_CONF_DIR."""
        return dict.fromkeys(("HADOOP_CONF_DIR", "YARN_CONF_DIR"), str(self.configuration))

    def _prepare(self) -> None:
        for site in SITES:
            (self.configuration / site).unlink(missing_ok=True)
        jars = ensure_jars(find_java(), self._cache, lock_file=LOCK_FILE)
        self._class_path = os.pathsep.join(map(str, (*jars, *_jars_of_spark())))

    def _command(self) -> list[str | Path]:
        managers, data = map(str, self._nodes)
        return [sys.executable, "-m", "deploy.servers.hadoop_jvm", str(self.ports[0]), managers, data]

    def _environ(self) -> Mapping[str, str]:
        return {**os.environ, "CLASSPATH": self._class_path}

    def _is_ready(self) -> bool:
        return (self.configuration / SITES[-1]).exists() and answers(self.ports[0])


def _jars_of_spark() -> list[Path]:
    spec = find_spec("pyspark")
    folders = (spec.submodule_search_locations or []) if spec else []
    found = [jar for folder in folders for name in _OF_SPARK for jar in sorted(Path(folder, "jars").glob(name))]
    if not found:
        raise ServerBinaryNotFound("no jars of Hadoop's client: install the job environment (pyspark ships them)")
    return found
