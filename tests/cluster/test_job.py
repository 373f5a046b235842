"""The whole job on YARN, with its data and work folder on HDFS, on machines that do not have its code or packages."""

from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from deploy.chain import REPO
from deploy.servers.hadoop_cluster import HadoopCluster, namespace_command
from tests.cluster.yarn import FLAGS, OnYarn, crowd, tables_of
from tests.e2e.conftest import servers, settings_of, shared_spark, write_days
from tests.e2e.product import Product, Servers
from tests.e2e.test_on_the_cluster import compute

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["servers", "shared_spark"]


@pytest.fixture
def there(hadoop: HadoopCluster, servers: Servers, tmp_path: Path) -> OnYarn:
    return OnYarn.create(servers, tmp_path / "yarn", hadoop, settings_of(tmp_path, product="yarn"))


@pytest.fixture
def here(servers: Servers, tmp_path: Path) -> Product:
    """The same recipe, days and seed on this machine's disk."""
    return Product.create(servers, tmp_path / "here", write_days(tmp_path / "data", crowd(), product="here"))


def test_the_nodes_do_not_see_this_folder(hadoop: HadoopCluster) -> None:
    if not namespace_command():
        pytest.skip("this machine lets us make no mount namespace")
    (java,) = psutil.Process(hadoop.pid).children()
    assert [*Path(f"/proc/{java.pid}/root{REPO}").iterdir()] == []


def test_lists_made_on_yarn_are_those_made_here_and_are_served(
    there: OnYarn, here: Product, shared_spark: "SparkSession"
) -> None:
    with there.submitted() as job:
        ended = here.run(*FLAGS, work=compute)
        assert ended.code == 0, ended.log
        assert job.wait() == 0, there.log.read_text()
    made = tables_of(there.run)
    mine = tables_of(here.folder(here.run_ids[-1]))
    for name, rows in mine.items():
        assert made[name].equals(rows), name
    assert made["lists"].num_rows == 200
    for row in made["lists"].to_pylist():
        answer = there.product.reader.lookup(row["user_id"])
        assert (answer.run, answer.kind, list(answer.source_ids)) == (there.run.name, "list", row["source_ids"])
