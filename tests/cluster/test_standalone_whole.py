"""The whole job on a Spark standalone cluster, in several settings, with trouble in every stage."""

from typing import TYPE_CHECKING

import pytest

from deploy.servers.spark_cluster import SparkCluster
from publish.store.redis_store import RedisStore
from tests.cluster.conftest import MakeProduct, compute_locally
from tests.cluster.standalone import (
    DYNAMIC,
    LATE,
    SPECULATION,
    Ended,
    differs_from,
    run_on,
    served_wrongly,
    stored_lists,
)
from tests.e2e.deaths import RUN
from tests.e2e.product import Product
from tests.publish.support.pushing import eventually

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

JUDGED = {"split": {"holdout_days": 1, "min_users": 1}}
KILLS = dict.fromkeys(("interactions", "train_lists", "lists", "publish"), "kill")
COPIES = dict.fromkeys(("partials", "interactions", "train_lists", "lists", "snapshot"), "copy") | {"publish": "late"}
MESSAGES = 40 + 2 * 4
"""Lists, and a BEGIN and an END for each of four partitions."""


@pytest.fixture(scope="module")
def local(spark: "SparkSession", make_product: MakeProduct) -> Product:
    """What a run in one process makes."""
    return compute_locally(make_product(**JUDGED), spark)


def is_the_same(local: Product, product: Product) -> None:
    """Factors and lists are those of the local run, and readers find exactly these lists."""
    for table in ("user_factors", "source_factors", "lists"):
        key = "source_id" if table.startswith("source") else "user_id"
        assert differs_from(local, product, table, key) is None
    assert (stored_lists(product), served_wrongly(product)) == (40, [])


def went_through(ended: Ended) -> None:
    assert ended.code == 0, ended.log


@pytest.mark.parametrize(("cpus", "allocation"), [("1", {})], ids=["1-static"])
def test_an_executor_killed_in_every_stage(
    standalone: SparkCluster, local: Product, make_product: MakeProduct, cpus: str, allocation: dict[str, str]
) -> None:
    product, troubles = make_product(**JUDGED), KILLS | ({"idle": "wait"} if allocation else {})
    with product.loading():
        ended = run_on(standalone, product, {"spark.task.cpus": cpus, **allocation}, troubles)
    went_through(ended)
    assert ended.happened("killed") == {*KILLS}
    assert len(ended.of_kind("ExecutorRemoved")) >= len(KILLS)
    assert (ended.halts / "idle").exists() == bool(allocation)
    is_the_same(local, product)


@pytest.mark.parametrize(("cpus", "allocation"), [("2", {}), ("1", DYNAMIC)], ids=["2-static", "1-dynamic"])
def test_two_copies_of_a_task_in_every_stage(
    standalone: SparkCluster, local: Product, make_product: MakeProduct, cpus: str, allocation: dict[str, str]
) -> None:
    product, troubles = make_product(**JUDGED), COPIES | ({"idle": "wait"} if allocation else {})
    with product.loading():
        ended = run_on(standalone, product, {"spark.task.cpus": cpus, **SPECULATION, **LATE, **allocation}, troubles)
        went_through(ended)
        assert ended.happened("goes") == {*COPIES}
        assert ended.happened("late") == {"publish"}
        assert len(ended.copied) >= len(COPIES)
        assert product.published().messages > MESSAGES, "both copies were sent, the end of one after END"
        is_the_same(local, product)
        eventually(lambda: has_read_all(product))
    assert product.published().pointer.treatment == RUN
    is_the_same(local, product)


def has_read_all(product: Product) -> bool:
    """Whether the loader has dealt with every record of the topic."""
    published, store = product.published(), RedisStore(product.client)
    layout = published.runs[0].announcement.layout
    positions = [store.position(layout, partition) for partition in range(layout.partitions)]
    return sum(one.offset for one in positions if one is not None) == published.messages
