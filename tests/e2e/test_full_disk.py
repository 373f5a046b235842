"""A disk without room, as the system itself tells it: each write to /dev/full ends with ENOSPC."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobs.run.context import Run
from jobs.stages.features import build_features
from tests.e2e.product import Make
from tests.e2e.refusals import FIRST, refused

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def test_a_full_disk_and_on_with_it(make: Make, shared_spark: "SparkSession") -> None:
    product, run = make(), "20261116T030000Z-20261116-1"
    folder = product.home / "runs" / product.name / run
    folder.mkdir(parents=True)
    full = folder / "gate_interactions.json.part"
    full.symlink_to("/dev/full")  # the system answers each write to it with ENOSPC
    said = ("the disk is full", "free space where DISCOVERY_HOME", "again with the same --run-id")
    refused(product, *FIRST, "--run-id", run, code=1, said=said)
    assert product.manifest(run).stages == {}
    full.unlink(missing_ok=True)
    ended = product.run(*FIRST, "--run-id", run, work=build_features)
    assert ended.code == 0, ended.log
    assert product.manifest(run).failure is None


def by_the_jvm(run: Run) -> None:
    stream = run.spark._jvm.java.io.FileWriter("/dev/full")
    stream.write("x")
    stream.flush()


def by_a_worker(run: Run) -> None:
    run.spark.range(1).foreachPartition(lambda rows: Path("/dev/full").write_text("x"))


@pytest.mark.parametrize("work", [by_the_jvm, by_a_worker])
def test_a_disk_that_spark_finds_full(make: Make, work: Callable[[Run], None], shared_spark: "SparkSession") -> None:
    said = ("the disk is full (No space left on device)", "free space where DISCOVERY_HOME and SPARK_LOCAL_DIRS lie")
    refused(make(), code=1, said=said, work=work)
