"""The process of a `HadoopCluster`: `python -m deploy.servers.hadoop_jvm PORT NODE_MANAGERS DATA_NODES`.

It runs in the cluster's folder with the jars in CLASSPATH, starts the program JAVA, writes the clients' configuration
into `conf/`, and ends with SIGTERM; the JVM ends with it. SIGUSR1 stops the node manager that the file `stop` names.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from py4j.java_gateway import GatewayParameters, JavaGateway, launch_gateway  # type: ignore[import-untyped]

from deploy.servers.hadoop_cluster import SITES, STOP

_JVM = ("-Xmx768m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dlog4j2.level=WARN")
_SCHEDULERS = "org.apache.hadoop.yarn.server.resourcemanager.scheduler"
_SETTINGS = {
    "yarn.resourcemanager.scheduler.class": f"{_SCHEDULERS}.fifo.FifoScheduler",
    "yarn.scheduler.minimum-allocation-mb": "256",
    "yarn.nodemanager.resource.memory-mb": "6144",
    "yarn.nodemanager.resource.cpu-vcores": "4",
    "yarn.nodemanager.vmem-check-enabled": "false",
    "yarn.nodemanager.pmem-check-enabled": "false",
    "yarn.resourcemanager.nodemanagers.heartbeat-interval-ms": "200",
    "yarn.nm.liveness-monitor.expiry-interval-ms": "30000",
    "yarn.am.liveness-monitor.expiry-interval-ms": "30000",
    "yarn.nodemanager.disk-health-checker.max-disk-utilization-per-disk-percentage": "99.5",
}
_OF_TESTS = "org.apache.hadoop.net.StaticMapping"
"""A class that clients do not have; in their configuration another one stands in its place."""
_OF_CLIENTS = "org.apache.hadoop.net.ScriptBasedMapping"


def main(port: str, node_managers: str, data_nodes: str) -> None:
    """Runs the cluster until SIGTERM."""
    environ = os.environ
    gateway = launch_gateway(
        classpath=environ["CLASSPATH"], java_path=environ["JAVA"], javaopts=list(_JVM), die_on_exit=True
    )
    jvm: Any = JavaGateway(gateway_parameters=GatewayParameters(port=gateway)).jvm
    configuration = jvm.org.apache.hadoop.conf.Configuration()
    configuration.set("hdfs.minidfs.basedir", str(Path("hdfs").absolute()))
    builder = jvm.org.apache.hadoop.hdfs.MiniDFSCluster.Builder(configuration)
    builder.nameNodePort(int(port)).numDataNodes(int(data_nodes)).build().waitActive()
    if int(node_managers):
        yarn = _start_yarn(jvm, configuration, int(node_managers))
        configuration = yarn.getConfig()
        signal.signal(signal.SIGUSR1, lambda *_: yarn.getNodeManager(int(Path(STOP).read_text())).stop())
    write_configuration(jvm, configuration, Path("conf"))
    while True:
        signal.pause()


def _start_yarn(jvm: Any, hdfs: Any, node_managers: int) -> Any:
    """Returns a resource manager and node managers on the started HDFS."""
    configuration = jvm.org.apache.hadoop.yarn.conf.YarnConfiguration(hdfs)
    for name, value in _SETTINGS.items():
        configuration.set(name, value)
    cluster = jvm.org.apache.hadoop.yarn.server.MiniYARNCluster("yarn", node_managers, 1, 1)
    cluster.init(configuration)
    cluster.start()
    return cluster


def write_configuration(jvm: Any, configuration: Any, folder: Path) -> None:
    """Writes each of SITES with the whole configuration of a started cluster."""
    writer = jvm.java.io.StringWriter()
    configuration.writeXml(writer)
    text = writer.toString().replace(_OF_TESTS, _OF_CLIENTS)
    folder.mkdir(exist_ok=True)
    for site in SITES:
        unfinished = folder / f"{site}.part"
        unfinished.write_text(text)
        unfinished.rename(folder / site)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    main(*sys.argv[1:])
