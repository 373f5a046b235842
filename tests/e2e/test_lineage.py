"""What has no lineage in the registry, or is not what the stage before left and its gate saw, is not published."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from mlflow.tracking import MlflowClient

from jobs.run.manifest import save_manifest
from jobs.stages.features import build_features
from jobs.stages.lists import precompute_topn
from jobs.stages.lists_from_factors import FALLBACK
from jobs.stages.publish import publish_topn
from jobs.stages.training.train import train_embeddings
from jobs.storage.bound_folder import MANIFEST
from publish.runs.pointer import Pointer
from tests.e2e.product import Make, Product, Published
from tests.e2e.refusals import FIRST, refused

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

RUN = "20261116T030000Z-20261116-1"
FLAGS = (*FIRST, "--run-id", RUN)
READ: dict[
    Any, tuple[str, ...]
] = {  # stage → some of what it reads of stages before, first what it comes furthest with
    train_embeddings: ("interactions", "holdout"),
    precompute_topn: ("exclusions", "source_factors"),
    publish_topn: ("lists",),
}
FILES = ("gate_interactions.json", "gate_lists.json", FALLBACK)


def test_only_what_the_pipeline_left_and_the_registry_vouches_for_is_pushed(
    make: Make, shared_spark: "SparkSession"
) -> None:
    product = make()
    assert product.run(*FLAGS, work=build_features).code == 0
    what_was_changed_since_the_stage_before_is_refused_by_name(product)
    what_the_registry_does_not_vouch_for_is_refused(product)
    assert product.published() == Published((), Pointer(), 0)


def what_was_changed_since_the_stage_before_is_refused_by_name(product: Product) -> None:
    folder = product.home / "runs" / product.name / RUN
    for stage, tables in READ.items():
        for table in tables:
            with changed_row(folder / table):
                said = (f"table {table!r} of run {RUN} was changed since stage", "left it", "start a new run")
                refused(product, *FLAGS, work=stage, said=said)
        if stage is not publish_topn:
            ended = product.run(*FLAGS, work=stage)
            assert ended.code == 0, ended.log
    for file in FILES:
        with changed_text(folder / file, "1", "2"):
            said = (f"file {file!r} of run {RUN} was changed since stage", "left it", "start a new run")
            refused(product, *FLAGS, work=publish_topn, said=said)
    with changed_text(folder / MANIFEST, '"challenger"', '"champion"'):
        said = (f"{folder}/{MANIFEST} was changed since the run wrote it", "or start a new run")
        refused(product, *FLAGS, work=publish_topn, said=said)


def what_the_registry_does_not_vouch_for_is_refused(product: Product) -> None:
    manifest = product.manifest(RUN)
    version, code = manifest.fact("train", "model")["version"], manifest.code_version
    client = MlflowClient(product.servers.mlflow)

    client.set_model_version_tag(product.name, version, "discovery.code_version", "somebody's laptop")
    other = f"it is not the one that run {RUN} registered (other discovery.code_version)"
    refused(product, *FLAGS, work=publish_topn, said=(f"version {version} of {product.name} in MLflow: ", other))
    client.set_model_version_tag(product.name, version, "discovery.code_version", code)

    save_manifest(product.folder(RUN), manifest.model_copy(update={"started_by": "somebody else"}))
    other = f"manifest.json of run {RUN} is not the one that gate 2 passed"
    refused(product, *FLAGS, work=publish_topn, said=(other, "start a new run"))

    save_manifest(product.folder(RUN), manifest.model_copy(update={"bound": False}))
    said = (f"run {RUN} was begun by code that kept no digests", "start a new run without --run-id")
    refused(product, *FLAGS, work=publish_topn, said=said)


@contextmanager
def changed_row(table: Path) -> Iterator[None]:
    """Another source on top of a list, another id elsewhere, by a tool that knows of no checksums beside files."""
    file = max(table.glob("*.parquet"), key=lambda file: pq.read_metadata(file).num_rows)
    crc = file.parent / f".{file.name}.crc"
    before = {one: one.read_bytes() for one in (file, crc) if one.exists()}
    rows = pq.read_table(file)
    place = max(0, rows.schema.get_field_index("source_ids"))
    values = rows.column(place).to_pylist()
    values[0] = [999_999, *values[0][1:]] if isinstance(values[0], list) else 999_999
    pq.write_table(rows.set_column(place, rows.schema.field(place), pa.array(values, rows.schema.types[place])), file)
    crc.unlink(missing_ok=True)
    yield
    for one, content in before.items():
        one.write_bytes(content)


@contextmanager
def changed_text(file: Path, then: str, now: str) -> Iterator[None]:
    content = file.read_text()
    assert then in content
    file.write_text(content.replace(then, now, 1))
    yield
    file.write_text(content)
