"""A real Spark standalone cluster on loopback: a master and workers, each a process with its own address.

Executors are processes that a worker starts, and end with it.
"""

import json
import os
import signal
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from deploy.servers.errors import ServerBinaryNotFound
from deploy.servers.java import find_java
from deploy.servers.ports import LOOPBACK
from deploy.servers.server import EmbeddedServer, Startable
from deploy.servers.spark_home import spark_home

_JVM = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"


class _SparkServer(EmbeddedServer):
    """A server of Spark's own jars; its ports are those of its messages and of its pages."""

    port_count = 2
    host = LOOPBACK

    @property
    def environment(self) -> dict[str, str]:
        """Nothing: Spark's master is an option of spark-submit."""
        return {}

    def _prepare(self) -> None:
        """Does nothing: everything is said on the command line."""

    def _start_class(self, name: str, *options: str) -> list[str | Path]:
        messages, pages = map(str, self.ports)
        address = ["--host", self.host, "--port", messages, "--webui-port", pages]
        return [_spark_home() / "bin" / "spark-class", f"org.apache.spark.deploy.{name}", *address, *options]

    def _environ(self) -> Mapping[str, str]:
        variables = {
            **os.environ,
            "SPARK_HOME": str(_spark_home()),
            "JAVA_HOME": str(find_java().program.resolve().parent.parent),
            "SPARK_LOCAL_IP": self.host,
            "SPARK_DAEMON_MEMORY": "256m",
            "SPARK_DAEMON_JAVA_OPTS": f"{_JVM} -Dspark.master.rest.enabled=false",
            "SPARK_LAUNCHER_OPTS": _JVM,
        }
        variables.pop("SPARK_CONF_DIR", None)  # it is for jobs on one machine
        return variables


class SparkMaster(_SparkServer):
    """The master, which shares out executors."""

    name = "spark-master"

    @property
    def uri(self) -> str:
        """The address for `spark-submit --master`."""
        return f"spark://{self.host}:{self.ports[0]}"

    def state(self) -> dict[str, Any]:
        """Returns what the master's page says as JSON. Raises OSError when it does not answer."""
        with urllib.request.urlopen(f"http://{self.host}:{self.ports[1]}/json/", timeout=5) as reply:
            return dict(json.load(reply))

    def _command(self) -> list[str | Path]:
        return self._start_class("master.Master")

    def _is_ready(self) -> bool:
        with suppress(OSError, ValueError):
            return bool(self.state()["status"] == "ALIVE")
        return False


class SparkWorker(_SparkServer):
    """A worker with an address of its own: Spark runs no second copy of a slow task on the same host."""

    name = "spark-worker"

    def __init__(self, folder: Path, master: SparkMaster, *, host: str, cores: int, memory: str) -> None:
        super().__init__(folder)
        self.host = host
        self._master = master
        self._size = ["--cores", str(cores), "--memory", memory]

    def stop(self) -> None:
        """Stops the worker and its executors."""
        self._end(super().stop)

    def kill(self) -> None:
        """Ends the worker and its executors with SIGKILL, as a crash of their machine would."""
        self._end(super().kill)

    def _end(self, end: Callable[[], None]) -> None:
        group = self.pid if self._process is not None else None
        end()
        if group is not None:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)

    def _command(self) -> list[str | Path]:
        folder = str(self.folder / "work")
        return self._start_class("worker.Worker", *self._size, "--work-dir", folder, self._master.uri)

    def _is_ready(self) -> bool:
        with suppress(OSError, ValueError):
            here = (self.host, self.ports[0], "ALIVE")
            return here in [(one["host"], one["port"], one["state"]) for one in self._master.state()["workers"]]
        return False


class SparkCluster(Startable):
    """A master and two workers, on 127.0.0.1 and 127.0.0.2, with these cores and memory each."""

    def __init__(self, folder: Path, *, cores: int = 2, memory: str = "2g") -> None:
        self.master = SparkMaster(folder / "master")
        self.workers = [
            SparkWorker(folder / f"worker-{number}", self.master, host=f"127.0.0.{number}", cores=cores, memory=memory)
            for number in (1, 2)
        ]

    @property
    def uri(self) -> str:
        """The address for `spark-submit --master`."""
        return self.master.uri

    def start(self) -> None:
        """Starts the master, then the workers, and waits until they are registered."""
        self.master.start()
        for worker in self.workers:
            worker.launch()
        for worker in self.workers:
            worker.wait_until_ready()

    def stop(self) -> None:
        """Stops the workers with their executors, then the master."""
        for server in (*self.workers, self.master):
            server.stop()


def _spark_home() -> Path:
    home = spark_home()
    if home is None:
        raise ServerBinaryNotFound("no Spark: install the job environment (pyspark ships its servers)")
    return home
