"""Checks the folders that a product reads and writes before any work: unknown storages, names that no JVM can open."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from conf.errors import ConfigError
from conf.settings import Settings
from jobs.storage.java_names import refuse_unnameable
from jobs.storage.store import Storage

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_CONNECTORS = {"s3a": "hadoop-aws", "abfs": "hadoop-azure", "abfss": "hadoop-azure", "gs": "gcs-connector"}
"""Kind of storage → the package with Spark's file system for it, which Spark does not include."""


def folders_of(home: Storage, settings: Settings) -> Mapping[str, Storage]:
    """Returns name of the setting → folder. Raises ConfigError for a path that is none."""
    folders = {"DISCOVERY_HOME": home, "data_root": _below(home, settings.data_root, "data_root")}
    for name, dataset in settings.datasets.by_name.items():
        setting = f"path of dataset {name!r}"
        folders[setting] = _below(folders["data_root"], dataset.path, setting)
    return folders


def check_folders(home: Storage, settings: Settings) -> None:
    """Raises ConfigError for a path that is none, and UnreadableFolder for one that the JVM cannot open."""
    for folder in folders_of(home, settings).values():
        refuse_unnameable(folder.location.path, folder)


def check_spark_reads(spark: "SparkSession", folders: Iterable[Storage]) -> None:
    """Raises ConfigError if Spark was started without the file system of one of the folders."""
    from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]  # here: `discovery` works without Spark

    jvm, java = spark.sparkContext._jvm, spark.sparkContext._jsc
    assert jvm is not None
    for scheme in sorted({folder.spark_path().partition(":")[0] for folder in folders}):
        try:
            jvm.org.apache.hadoop.fs.FileSystem.getFileSystemClass(scheme, java.hadoopConfiguration())
        except Py4JJavaError as error:
            text = str(error.java_exception).partition("\n")[0]
            connector = _CONNECTORS.get(scheme, "its connector")
            raise ConfigError(
                f"Spark cannot read {scheme}:// ({text}); start it with {connector}, of the version of its own Hadoop "
                "(spark-submit --packages or --jars)"
            ) from None


def _below(folder: Storage, path: str, setting: str) -> Storage:
    try:
        return folder.child(path)
    except ConfigError as error:
        raise ConfigError(f"{setting}: {error}") from None
