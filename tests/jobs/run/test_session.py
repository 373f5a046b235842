"""The session of a job, whatever the cluster's defaults are."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from conf.settings import SparkSettings
from jobs.run import session
from jobs.run.session import open_session

_LOSING = {
    "spark.sql.files.ignoredPathSegmentRegex": "part",
    "spark.sql.files.ignoreCorruptFiles": "true",
    "spark.sql.files.ignoreMissingFiles": "true",
}


def test_no_default_of_a_cluster_leaves_out_files(spark: SparkSession, tmp_path: Path) -> None:
    before = dict(spark.conf.getAll)
    table = f"file://{tmp_path}/table"
    spark.range(3).write.parquet(table)
    for name, value in _LOSING.items():
        spark.conf.set(name, value)
    try:
        assert spark.read.schema("id long").parquet(table).count() == 0  # lost without a word
        assert open_session("tests", SparkSettings()).read.parquet(table).count() == 3
        assert all(spark.conf.get(name) != value for name, value in _LOSING.items())
    finally:
        for name in set(dict(spark.conf.getAll)) | {*_LOSING}:
            if spark.conf.isModifiable(name):
                spark.conf.set(name, before[name]) if name in before else spark.conf.unset(name)


def test_kernels_are_kept_for_the_machine_or_with_the_executor(monkeypatch: pytest.MonkeyPatch) -> None:
    numba, cache = "spark.executorEnv.NUMBA_CACHE_DIR", "spark.executorEnv.XDG_CACHE_HOME"
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/a/b")
    for submitted in ({}, {"spark.master": "local[2]", numba: "/c"}):
        monkeypatch.setattr(session, "_submitted", lambda submitted=submitted: submitted)
        assert session._kernels() == {numba: "/a/b"}
    monkeypatch.setattr(session, "_submitted", lambda: {"spark.master": "yarn"})
    assert session._kernels() == {numba: "cache/numba", cache: "cache"}
    monkeypatch.setattr(session, "_submitted", lambda: {"spark.master": "yarn", cache: "/scratch", numba: "/c"})
    assert session._kernels() == {numba: "/c", cache: "/scratch"}
