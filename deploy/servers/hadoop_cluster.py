"""A real HDFS and a real YARN on loopback: name node, data nodes, resource manager, node managers.

They are threads of one JVM, but what YARN starts (Spark's executors) are processes of their own.
"""

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.servers.errors import ServerBinaryNotFound
from deploy.servers.java import find_java
from deploy.servers.kafka_jars import cache_folder, ensure_jars
from deploy.servers.ports import LOOPBACK, answers
from deploy.servers.server import EmbeddedServer
from deploy.servers.spark_home import spark_home

LOCK_FILE = Path(__file__).with_name("hadoop-jars.lock")
SITES = ("core-site.xml", "hdfs-site.xml", "yarn-site.xml")
"""The files of the clients' configuration; each holds all of it, since YARN's defaults win over core-site.xml."""
STOP = "stop"
"""The file that names the node manager to stop."""
_OF_SPARK = ("hadoop-client-*.jar", "slf4j-api-*.jar", "jcl-over-slf4j-*.jar", "log4j-*.jar", "py4j-*.jar")
"""What the cluster takes of the jars that pyspark ships."""


_NAMESPACES = (("unshare", "--mount"), ("unshare", "--map-current-user", "--keep-caps", "--mount"))
"""How a mount namespace is made: with the rights of root, and by anybody where the kernel lets them."""
_WITHOUT = """#!/bin/sh
# Java, and all that it starts, with empty folders in the place of some.
exec {unshare} sh -ec '
  while [ "$1" != -- ]; do mount -t tmpfs none "$1"; shift; done; shift
  exec "$@"' sh {folders} -- {java} "$@"
"""


class HadoopCluster(EmbeddedServer):
    """An HDFS with `data_nodes` and a YARN with `node_managers`; what is stored is gone after a restart.

    `hidden` are folders of this machine that its nodes, and what they start, see empty, as if they were other machines;
    that needs Linux's mount namespaces and the rights to make one.
    """

    name = "hadoop"

    def __init__(
        self,
        folder: Path,
        *,
        node_managers: int = 2,
        data_nodes: int = 1,
        hidden: Sequence[Path] = (),
        cache: Path | None = None,
        start_seconds: float = 180,
    ) -> None:
        super().__init__(folder, start_seconds=start_seconds)
        self._nodes = node_managers, data_nodes
        self._hidden = hidden
        self._cache = cache_folder() if cache is None else cache
        self._class_path = ""
        self._java = Path("java")

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

    def node_folder(self, number: int) -> Path:
        """Returns the folder of a node manager, in whose subfolders the processes of its containers work."""
        (folder,) = self.folder.resolve().glob(f"target/test/data/yarn/*/yarn-localDir-nm-{number}_0")
        return folder

    def stop_node_manager(self, number: int) -> None:
        """Tells a node manager to end, and with it its containers; it takes seconds."""
        (self.folder / STOP).write_text(str(number))
        os.kill(self.pid, signal.SIGUSR1)

    def _prepare(self) -> None:
        for site in SITES:
            (self.configuration / site).unlink(missing_ok=True)
        java = find_java()
        jars = [*ensure_jars(java, self._cache, lock_file=LOCK_FILE), *_jars_of_spark()]
        self._java = java.program
        if self._hidden:
            jars, self._java = self._visible(jars), self._java_without(java.program)
        self._class_path = os.pathsep.join(map(str, jars))

    def _visible(self, jars: Sequence[Path]) -> list[Path]:
        """Returns copies of the jars beside the data, since they may lie in a hidden folder."""
        folder = self.folder / "jars"
        folder.mkdir(exist_ok=True)
        return [Path(shutil.copy(jar, folder)) for jar in jars]

    def _java_without(self, java: Path) -> Path:
        """Returns a program that runs Java without the hidden folders."""
        program = self.folder / "java"
        folders = shlex.join(str(folder.absolute()) for folder in self._hidden)
        unshare = shlex.join(namespace_command() or _NAMESPACES[0])
        program.write_text(_WITHOUT.format(unshare=unshare, folders=folders, java=shlex.quote(str(java))))
        program.chmod(0o755)
        return program

    def _command(self) -> list[str | Path]:
        managers, data = map(str, self._nodes)
        return [sys.executable, "-m", "deploy.servers.hadoop_jvm", str(self.ports[0]), managers, data]

    def _environ(self) -> Mapping[str, str]:
        return {**os.environ, "CLASSPATH": self._class_path, "JAVA": str(self._java)}

    def _is_ready(self) -> bool:
        return (self.configuration / SITES[-1]).exists() and answers(self.ports[0])


def namespace_command() -> tuple[str, ...]:
    """Returns what starts a command in a mount namespace of its own; nothing where we may make none."""
    for command in _NAMESPACES if shutil.which("unshare") else ():
        if subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0:
            return command
    return ()


def _jars_of_spark() -> list[Path]:
    home = spark_home()
    found = [jar for name in _OF_SPARK for jar in sorted(home.glob(f"jars/{name}"))] if home else []
    if not found:
        raise ServerBinaryNotFound("no jars of Hadoop's client: install the job environment (pyspark ships them)")
    return found
