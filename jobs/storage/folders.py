"""The folders that a product reads and writes, checked before any work: what no storage or no JVM can be asked for."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from conf.errors import ConfigError
from conf.settings import Settings
from jobs.storage.java_names import refuse_unnameable
from jobs.storage.store import Storage

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_CONNECTORS = {"s3a": "hadoop-aws", "abfs": "hadoop-azure", "abfss": "hadoop-azure", "gs": "gcs-connector"}
"""Kind of a storage → what brings it to Spark, which has none of these itself."""


def folders_of(home: Storage, settings: Settings) -> Mapping[str, Storage]:
    """Returns what says where a folder lies → the folder; raises ConfigError for a path that names none."""
    folders = {"DISCOVERY_HOME": home, "data_root": _below(home, settings.data_root, "data_root")}
    for name, dataset in settings.datasets.by_name.items():
        said = f"path of dataset {name!r}"
        folders[said] = _below(folders["data_root"], dataset.path, said)
    return folders


def check_folders(home: Storage, settings: Settings) -> None:
    """Raises ConfigError for a path that names no folder, and UnreadableFolder for one that the JVM cannot name."""
    for folder in folders_of(home, settings).values():
        refuse_unnameable(folder.location.path, folder)


def check_spark_reads(spark: "SparkSession", folders: Iterable[Storage]) -> None:
    """Raises ConfigError when Spark was started without the file system of one of the folders."""
    from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]  # here: `discovery` works without Spark

    jvm, java = spark.sparkContext._jvm, spark.sparkContext._jsc
    assert jvm is not None
    for scheme in sorted({folder.spark_path().partition(":")[0] for folder in folders}):
        try:
            jvm.org.apache.hadoop.fs.FileSystem.getFileSystemClass(scheme, java.hadoopConfiguration())
        except Py4JJavaError as error:
            said = str(error.java_exception).partition("\n")[0]
            connector = _CONNECTORS.get(scheme, "its connector")
            raise ConfigError(
                f"Spark cannot read {scheme}:// ({said}); start it with {connector}, of the version of its own Hadoop "
                "(spark-submit --packages or --jars)"
            ) from None


def _below(folder: Storage, path: str, said: str) -> Storage:
    try:
        return folder.child(path)
    except ConfigError as error:
        raise ConfigError(f"{said}: {error}") from None
