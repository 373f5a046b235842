"""A node manager that is lost with its executors while the job runs on YARN: the lists are the same."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from deploy.chain import REPO
from deploy.servers.hadoop_cluster import HadoopCluster
from tests.cluster.yarn import FLAGS, OnYarn, containers, crowd, executors, tables_of
from tests.e2e.conftest import servers, settings_of, shared_spark, write_days
from tests.e2e.product import Product, Servers
from tests.e2e.test_on_the_cluster import compute
from tests.publish.support.pushing import eventually

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["servers", "shared_spark"]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[HadoopCluster]:
    """A cluster of the test's own, since it ends with a node less."""
    with HadoopCluster(tmp_path / "hadoop", hidden=(REPO,)) as cluster:
        yield cluster


def test_a_node_is_lost_before_ranking(
    cluster: HadoopCluster, servers: Servers, tmp_path: Path, shared_spark: "SparkSession"
) -> None:
    there = OnYarn.create(servers, tmp_path / "yarn", cluster, settings_of(tmp_path, product="yarn_lost"))
    here = Product.create(servers, tmp_path / "here", write_days(tmp_path / "data", crowd(), product="here_lost"))
    with there.submitted() as job:
        eventually(lambda: job.poll() is not None or there.has("user_factors"), seconds=900)
        assert job.poll() is None, there.log.read_text()
        lost = lose_a_node(cluster)
        code = job.wait(1800)
    assert code == 0, there.log.read_text()
    assert lost
    ended = here.run(*FLAGS, work=compute)
    assert ended.code == 0, ended.log
    made = tables_of(there.run)
    for name, rows in tables_of(here.folder(here.run_ids[-1])).items():
        assert made[name].equals(rows), name
    for row in made["lists"].to_pylist():
        answer = there.product.reader.lookup(row["user_id"])
        assert (answer.run, answer.kind, list(answer.source_ids)) == (there.run.name, "list", row["source_ids"])


def lose_a_node(cluster: HadoopCluster) -> list[psutil.Process]:
    """Kills all that runs on the node with the most executors, as when its machine fails, and ends its node manager.

    Returns the executors.
    """
    folders = {node: cluster.node_folder(node) for node in range(2)}
    node = max(folders, key=lambda number: len(executors(folders[number])))
    lost = executors(folders[node])
    cluster.stop_node_manager(node)

    def nothing_left() -> bool:
        left = containers(folders[node])
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        return not left

    eventually(nothing_left, seconds=900)
    return lost
