"""The whole job on a Spark standalone cluster, in several settings, with trouble in every stage."""

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from deploy.chain import REPO
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
    """Interactions, factors and lists are those of the local run, and readers find exactly these lists."""
    for table in ("user_factors", "source_factors", "lists"):
        key = "source_id" if table.startswith("source") else "user_id"
        assert differs_from(local, product, table, key) is None
    assert (stored_lists(product), served_wrongly(product)) == (40, [])


def went_through(ended: Ended) -> None:
    assert ended.code == 0, ended.log


@pytest.mark.parametrize(("cpus", "allocation"), [("1", {}), ("2", DYNAMIC)], ids=["1-static", "2-dynamic"])
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


def test_a_job_that_gave_up_goes_on_where_it_was(
    standalone: SparkCluster, local: Product, make_product: MakeProduct
) -> None:
    product, impatient = make_product(**JUDGED), {"spark.task.maxFailures": "1"}
    for place in ("interactions", "train_lists", "lists", "publish"):
        ended = run_on(standalone, product, impatient, {place: "kill"})
        assert ended.code == 1, ended.log
        assert ended.happened("killed") == {place}
        assert "Spark gave up: " in ended.log
        assert "then start again with the same --run-id" in ended.log
    with product.loading():
        went_through(run_on(standalone, product, impatient, {}))
    is_the_same(local, product)


def test_a_training_on_the_cluster_loses_an_executor(
    standalone: SparkCluster, spark: "SparkSession", make_product: MakeProduct
) -> None:
    training = {"train": {"algorithm": "als_spark", "factors": 4}}
    local, product = compute_locally(make_product(**training), spark), make_product(**training)
    with product.loading():
        ended = run_on(standalone, product, {}, {"user_factors": "kill"})
    went_through(ended)
    assert ended.happened("killed") == {"user_factors"}
    (then, now) = (
        {row["user_id"]: row["scores"] for row in one.folder(one.run_ids[-1]).table("lists").to_table().to_pylist()}
        for one in (local, product)
    )
    assert then.keys() == now.keys()
    for user, scores in now.items():
        assert scores == pytest.approx(then[user], rel=1e-3, abs=1e-3), user
    assert (stored_lists(product), served_wrongly(product)) == (40, [])


OWNER = """
import signal, sys
from pathlib import Path
from pyspark import SparkContext
from deploy.servers.spark_cluster import SparkCluster

with SparkCluster(Path(sys.argv[1]), cores=1) as cluster:
    driver = SparkContext(cluster.uri)
    print(*(one.pid for one in (cluster.master, *cluster.workers)), flush=True)
    signal.pause()
"""


def test_a_cluster_ends_with_its_owner(tmp_path: Path) -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(tmp_path)], cwd=REPO, stdout=subprocess.PIPE, text=True)
    try:
        assert owner.stdout is not None
        master, *workers = (psutil.Process(int(pid)) for pid in owner.stdout.readline().split())
        eventually(lambda: all(worker.children() for worker in workers))
        started = [master, *workers, *(executor for worker in workers for executor in worker.children(recursive=True))]
        assert len(started) >= 5
    finally:
        owner.kill()
        owner.communicate()
    eventually(lambda: not any(map(runs, started)))


def runs(process: psutil.Process) -> bool:
    """Whether a process still runs; a zombie does not."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
