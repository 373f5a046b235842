"""The whole job on a Spark standalone cluster: a slow task with a copy and a killed executor change no list."""

from typing import TYPE_CHECKING

from deploy.servers.spark_cluster import SparkCluster
from tests.cluster.conftest import MakeProduct, compute_locally
from tests.cluster.standalone import SPECULATION, differs_from, run_on, served_wrongly, stored_lists

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def test_a_killed_executor_and_two_copies_of_tasks_change_no_list(
    standalone: SparkCluster, spark: "SparkSession", make_product: MakeProduct
) -> None:
    local, product = compute_locally(make_product(), spark), make_product()
    with product.loading():
        ended = run_on(standalone, product, SPECULATION, {"interactions": "kill", "lists": "copy", "publish": "copy"})
    assert ended.code == 0, ended.log
    assert ended.happened("killed") == {"interactions"}
    assert ended.happened("goes") == {"lists", "publish"}
    assert len(ended.copied) >= 2
    assert differs_from(local, product, "lists") is None
    assert (stored_lists(product), served_wrongly(product)) == (40, [])
