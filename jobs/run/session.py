"""Opens the Spark session of a job, with the settings that must hold on every cluster."""

import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pyspark import SparkConf, SparkContext
from pyspark.sql import SparkSession

from conf.settings import SparkSettings
from jobs.storage.folders import check_spark_reads
from jobs.storage.s3 import prepare_spark
from jobs.storage.store import Storage

_ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def begin_session(name: str, settings: SparkSettings) -> None:
    """Lets Java open the session, and warm up, while the caller does something else; `open_session` waits for it.

    Does so only in a process of spark-submit, where Java ends with it: nothing closes a session that nobody opens.
    """
    if "PYSPARK_GATEWAY_PORT" in os.environ:
        threading.Thread(target=_begin, args=(name, settings), name="spark-session", daemon=True).start()


def _begin(name: str, settings: SparkSettings) -> None:
    with suppress(Exception):  # `open_session`, or the first stage, meets it again and reports it
        # A run that is refused may end amid the work: no log until `open_session`.
        spark = _builder(name, settings).config("spark.log.level", "OFF").getOrCreate()
        from jobs.run.warm_up import warm_up  # here, because it imports more than a session needs

        warm_up(spark)


def open_session(name: str, settings: SparkSettings, folders: Iterable[Storage] = ()) -> SparkSession:
    """Opens the session; master, memory and cluster settings are spark-submit's. Raises ConfigError.

    folders: folders that Spark must be able to read.
    """
    ours = signal.getsignal(signal.SIGINT)
    spark = _builder(name, settings).getOrCreate()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, ours)  # Spark's handler calls the JVM, which Ctrl-C has ended as well
    spark.sparkContext.setLogLevel("ERROR")
    folders = [*folders]
    check_spark_reads(spark, folders)
    prepare_spark(spark, [folder.location for folder in folders])
    return spark


@contextmanager
def session_for(name: str, settings: SparkSettings, folders: Iterable[Storage] = ()) -> Iterator[SparkSession]:
    """Opens the session for the block, after which it ends unless there was one before; raises as `open_session`."""
    is_ours = SparkSession.getActiveSession() is None
    spark = open_session(name, settings, folders)
    try:
        yield spark
    finally:
        if is_ours:
            spark.stop()


def _builder(name: str, settings: SparkSettings) -> SparkSession.Builder:
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.appName(name)
    for key, value in _settings(settings).items():
        builder = builder.config(key, value)
    return builder


def _settings(settings: SparkSettings) -> dict[str, str]:
    return {
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.ansi.enabled": "true",
        "spark.sql.shuffle.partitions": str(settings.shuffle_partitions),
        # the advisory size decides how small partitions are merged, not the number of cores
        "spark.sql.adaptive.coalescePartitions.parallelismFirst": "false",
        "spark.sql.execution.arrow.maxRecordsPerBatch": str(settings.user_block),
        "spark.sql.sources.partitionOverwriteMode": "dynamic",
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        # five weeks of daily partials are listed by the driver; by a Spark job per dataset it took a second longer
        "spark.sql.sources.parallelPartitionDiscovery.threshold": "64",
        "spark.ui.showConsoleProgress": "false",
        # a cluster's own defaults must not leave out files that the footers count: see
        # jobs.storage.dataset_names.is_hidden
        "spark.sql.files.ignoredPathSegmentRegex": "^[._]",
        "spark.sql.files.ignoreCorruptFiles": "false",
        "spark.sql.files.ignoreMissingFiles": "false",
        # one BLAS thread per Python worker, and compiled kernels kept for the next one
        **{f"spark.executorEnv.{name}": "1" for name in _ONE_THREAD},
        **_kernels(),
    }


def _kernels() -> dict[str, str]:
    """Returns where workers keep compiled kernels: on a cluster in the executor's folder, unless submitted otherwise.

    Kernels of packages in a zip (--py-files) are kept in the user's cache, which the user of an executor may not have.
    """
    submitted = _submitted()
    if submitted.get("spark.master", "local").startswith("local"):
        cache = Path(os.environ.get("NUMBA_CACHE_DIR", "~/.cache/discovery/numba")).expanduser()
        return {"spark.executorEnv.NUMBA_CACHE_DIR": str(cache)}
    folders = {"spark.executorEnv.NUMBA_CACHE_DIR": "cache/numba", "spark.executorEnv.XDG_CACHE_HOME": "cache"}
    return {name: submitted.get(name, folder) for name, folder in folders.items()}


def _submitted() -> dict[str, str]:
    """Returns the settings that spark-submit was given; {} in any other process."""
    if "PYSPARK_GATEWAY_PORT" not in os.environ:
        return {}
    SparkContext._ensure_initialized()  # connects with Java; Spark itself is not started
    return dict(SparkConf().getAll())
