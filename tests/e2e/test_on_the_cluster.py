"""A training that is too large for one machine goes to Spark, and its lists are served like any others."""

from typing import TYPE_CHECKING

from jobs.run.context import Run
from jobs.stages.features import build_features
from jobs.stages.lists import precompute_topn
from jobs.stages.training.train import train_embeddings
from tests.e2e.conftest import Literal
from tests.e2e.product import Make
from tests.e2e.refusals import FIRST

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def compute(run: Run) -> None:
    build_features(run)
    train_embeddings(run)
    precompute_topn(run)


def test_auto_trains_on_the_cluster_what_is_too_large_for_one_machine(make: Make, shared_spark: "SparkSession") -> None:
    product = make(Literal.crowd()).change({"train": {"algorithm": "auto", "max_memory": "100 MiB", "factors": 4}})
    ended = product.run(*FIRST, work=compute)
    assert ended.code == 0, ended.log
    assert "of train.max_memory 100 MiB: als_spark on the cluster" in ended.log
    run = product.run_ids[-1]
    training, folder = product.manifest(run).fact("train", "training"), product.folder(run)
    assert (training["algorithm"], training["started"], training["users"]) == ("als_spark", "cold", 40)
    users = folder.table("user_factors").to_table()["user_id"].to_pylist()
    assert users == [*range(1, 41)]
    lists = {row["user_id"]: row["source_ids"] for row in folder.table("lists").to_table().to_pylist()}
    firsts = [lists[user][0] for user in range(1, 41)]
    assert [source > 106 for source in firsts] == [user % 2 == 1 for user in range(1, 41)], "of the half that they like"
    assert not folder.exists("checkpoints")
