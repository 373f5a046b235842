"""A run that was killed goes on at its first unfinished stage."""

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.stages.features import build_features
from tests.e2e.conftest import LAST, Literal, write_days
from tests.e2e.product import Product, Servers
from tests.e2e.submit import submitted

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def test_a_killed_run_goes_on_where_it_was(servers: Servers, tmp_path: Path, shared_spark: "SparkSession") -> None:
    product = Product.create(servers, tmp_path, write_days(tmp_path / "data", Literal.crowd(), product="killed"))
    run = "20261116T030000Z-20261116-1"
    flags = ["--as-of", str(LAST), "--first", "--run-id", run]
    with submitted(product, *flags) as (job, log):
        while "features" not in _stages(product, run):
            assert job.poll() is None, log.read_text()
            time.sleep(0.05)
        os.killpg(job.pid, signal.SIGKILL)
        job.wait()
    before = product.manifest(run)
    assert "serve" not in before.stages
    written = {file: file.stat().st_mtime_ns for file in _tables_of_features(product, run)}

    other = product.change({"lists": {"n": 3}}).run(*flags, work=build_features)
    assert other.code == 2
    assert "config_hash" in other.log
    assert "lists.n is 10 there and 3 here" in other.log
    assert "start a new run" in other.log

    with product.loading():
        ended = product.run(*flags)
    assert ended.code == 0, ended.log
    assert "features  finished in an earlier attempt" in ended.log
    after = product.manifest(run)
    assert after.stages["features"] == before.stages["features"]
    assert {file: file.stat().st_mtime_ns for file in _tables_of_features(product, run)} == written
    assert product.published().pointer.treatment == run


def _stages(product: Product, run: str) -> list[str]:
    return list(product.manifest(run).stages) if product.folder(run).exists("manifest.json") else []


def _tables_of_features(product: Product, run: str) -> list[Path]:
    folder = product.home / "runs" / product.name / run
    return sorted(
        path for name in ("interactions", "exclusions", "holdout") for path in (folder / name).glob("*.parquet")
    )
