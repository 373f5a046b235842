"""A run that dies anywhere goes on with the same --run-id: nothing is done twice, nothing is lost, nothing is mixed."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

import jobs.stages.publish
from jobs.run.context import Run
from jobs.stages.features import build_features
from jobs.storage.tables import Tables
from models.registry import ModelRegistry
from tests.e2e.deaths import RUN, before_the_record, death, tables_of
from tests.e2e.product import Make, Product
from tests.e2e.refusals import FIRST, clicks_of
from tests.features.world import ago, events
from tests.support.model_store import version_at

if TYPE_CHECKING:
    from mlflow.entities import Run as MlflowRun
    from pyspark.sql import SparkSession

JUDGED = {"split": {"min_users": 1}}  # the crowd is less than the default
FLAGS = (*FIRST, "--run-id", RUN)
Files = dict[Path, tuple[int, bytes]]
"""As `tables_of` returns them."""
WRITTEN = {  # stage → some of the tables that it has finished when it dies
    "features": {"interactions", "exclusions", "sources", "train_interactions", "train_exclusions", "holdout"},
    "train": {"user_factors", "source_factors", "train_user_factors", "train_source_factors", "train_lists"},
    "topn": {"lists"},
    "publish": {"snapshot"},
}


def test_a_run_that_dies_before_each_record(make: Make, shared_spark: "SparkSession") -> None:
    product = make().change(JUDGED)
    kept = dies_before_the_record_of(product, "features", {})
    kept = training_dies_on_its_way_to_mlflow(product, kept)
    for stage in ("train", "topn"):
        kept = dies_before_the_record_of(product, stage, kept)
    kept = push_dies_before_its_end(product, kept)
    kept = dies_before_the_record_of(product, "publish", kept)  # nobody loads meanwhile
    with product.loading():
        kept = dies_before_the_record_of(product, "publish", kept)
        finish(product)
    stays(product, kept, "once all is served")
    serves_all(product)
    assert product.published().messages >= 4 * 40  # what the loader had to sort out
    tells_of_the_training(product)
    version = product.manifest(RUN).fact("train", "model")["version"]
    assert version_at(ModelRegistry(product.servers.mlflow), product.name) == version


def dies_before_the_record_of(product: Product, stage: str, kept: Files) -> Files:
    with death(Run, "keep", before_the_record(stage)):
        die(product)
    assert stage not in product.manifest(RUN).stages
    found = stays(product, kept, f"before {stage}")
    assert {file.parent.name for file in found} >= WRITTEN[stage]
    return found


def training_dies_on_its_way_to_mlflow(product: Product, kept: Files) -> Files:
    with death(ModelRegistry, "log_run"):
        die(product)
    trained = stays(product, kept, "before MLflow")
    with death(ModelRegistry, "register"):
        die(product)
    assert tables_of(product) == trained
    return trained


def push_dies_before_its_end(product: Product, kept: Files) -> Files:
    with product.loading(), death(jobs.stages.publish, "send_end"):
        die(product)
    return stays(product, kept, "before END")


def stays(product: Product, kept: Files, when: str) -> Files:
    """Nothing of `kept` was written again; returns what there is now."""
    found = tables_of(product)
    assert {file: found[file] for file in kept} == kept, f"rewritten {when}"
    return found


def test_a_day_that_is_written_again_between_two_attempts(make: Make, shared_spark: "SparkSession") -> None:
    product = make()
    with death(Tables, "write", lambda tables, name, *more: name == "train_interactions"):
        die(product, work=build_features)
    written = {file.parent.name for file in tables_of(product)}
    assert written >= {"interactions", "exclusions", "sources"}
    assert "train_interactions" not in written
    changed = events(ago(2), (1, 101, "click"), (1, 101, "click"), (50, 112, "click"))  # nobody but 1 and a new user
    pq.write_table(changed, clicks_of(product) / f"dt={ago(2)}" / "part-0.parquet")
    shared_spark.catalog.clearCache()  # a new process has none
    finish(product, work=build_features)
    fresh = replace(product, home=product.home.with_name("fresh"))
    finish(fresh, work=build_features)
    for table in WRITTEN["features"]:
        assert rows_of(product, table) == rows_of(fresh, table), table
    assert 50 in {row["user_id"] for row in product.folder(RUN).table("interactions").to_table().to_pylist()}
    assert product.manifest(RUN).fact("features", "rows") == fresh.manifest(RUN).fact("features", "rows")


def die(product: Product, **more: Any) -> None:
    ended = product.run(*FLAGS, **more)
    assert ended.code == 130, ended.log


def finish(product: Product, **more: Any) -> None:
    ended = product.run(*FLAGS, **more)
    assert ended.code == 0, ended.log
    assert product.manifest(RUN).failure is None


def rows_of(product: Product, table: str) -> list[str]:
    return sorted(map(repr, product.folder(RUN).table(table).to_table().to_pylist()))


def serves_all(product: Product) -> None:
    """The run serves, complete: readers find exactly its snapshot, and Redis holds no list more."""
    snapshot = product.folder(RUN).table("snapshot").to_table().to_pylist()
    assert len(snapshot) == 40
    published = product.published()
    assert published.pointer.treatment == RUN
    assert [run.name for run in published.runs] == [RUN]
    for row in snapshot:
        answer = product.reader.lookup(row["user_id"])
        found = (answer.run, answer.kind, list(answer.source_ids), list(answer.scores))
        assert found == (RUN, "list", row["source_ids"], row["scores"])
    client = product.client
    assert sum(client.hlen(key) for key in client.scan_iter(f"*:{RUN}:b:*") if product.name.encode() in key) == 40
    manifest = product.manifest(RUN)
    assert list(manifest.stages) == ["features", "train", "topn", "publish", "serve"]
    counts = {**manifest.fact("publish", "counts"), **manifest.fact("serve", "counts")}
    assert counts == {"computed": 40, "produced": 40, "loaded": 40, "readable": 40}


def tells_of_the_training(product: Product) -> None:
    """The manifest and MLflow know how the factors were trained, once."""
    model, training = (product.manifest(RUN).fact("train", name) for name in ("model", "training"))
    interactions = product.folder(RUN).table("interactions").count_rows()
    assert (training["interactions"], training["users"], training["sources"]) == (interactions, 40, 12)
    assert training["fit_seconds"] > 0
    logged, versions = mlflow_of(product)
    assert [run.info.run_id for run in logged] == [model["mlflow_run"]]
    assert logged[0].info.status == "FINISHED"
    numbers = {name: value for name, value in training.items() if isinstance(value, int | float)}
    assert {name: logged[0].data.metrics[name] for name in numbers} == numbers
    assert versions == [model["version"]]


def mlflow_of(product: Product) -> tuple[list["MlflowRun"], list[str]]:
    """The product's runs and model versions in MLflow."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(product.servers.mlflow)
    experiment = client.get_experiment_by_name(product.name)
    assert experiment is not None
    versions = client.search_model_versions(f"name = '{product.name}'")
    return list(client.search_runs([experiment.experiment_id])), [str(version.version) for version in versions]
