"""What the registry does not vouch for, or what is not what the gate saw, is not published."""

from typing import TYPE_CHECKING

from mlflow.tracking import MlflowClient

from jobs.build_features import build_features
from jobs.precompute_topn import FALLBACK, precompute_topn
from jobs.publish_topn import publish_topn
from jobs.run import Run
from jobs.train_embeddings import train_embeddings
from publish.runs.pointer import Pointer
from tests.e2e.product import Make, Published
from tests.e2e.refusals import FIRST

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def compute(run: Run) -> None:
    build_features(run)
    train_embeddings(run)
    precompute_topn(run)


def test_only_what_the_pipeline_made_and_the_gate_saw_is_pushed(make: Make, shared_spark: "SparkSession") -> None:
    product, run = make(), "20261116T030000Z-20261116-1"
    flags = (*FIRST, "--run-id", run)
    assert product.run(*flags, work=compute).code == 0
    version = product.manifest(run).fact("train", "model")["version"]
    code = product.manifest(run).code_version
    client = MlflowClient(product.servers.mlflow)

    client.set_model_version_tag(product.name, version, "discovery.code_version", "somebody's laptop")
    ended = product.run(*flags, work=publish_topn)
    assert ended.code == 2
    assert f"version {version} of {product.name} in MLflow: " in ended.log
    assert f"it is not the one that run {run} registered (other discovery.code_version)" in ended.log
    client.set_model_version_tag(product.name, version, "discovery.code_version", code)

    fallback = product.folder(run).read_bytes(FALLBACK)
    product.folder(run).write_bytes(FALLBACK, fallback.replace(b"[", b"[999999, ", 1))
    ended = product.run(*flags, work=publish_topn)
    assert ended.code == 2
    assert f"{FALLBACK} is not what gate 2 judged" in ended.log

    assert product.published() == Published((), Pointer(), 0)
