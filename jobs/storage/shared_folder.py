"""Copies a folder of arrays to every executor through Spark's own file service."""

import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pyspark import SparkFiles
from pyspark.sql import SparkSession


@dataclass(frozen=True)
class WorkerFolder:
    """Returns, on a worker, the folder on its machine."""

    name: str

    def __call__(self) -> str:
        return str(SparkFiles.get(self.name))


def share_folder(spark: SparkSession, scratch: Path, name: str, save: Callable[[Path], None]) -> WorkerFolder:
    """Lets `save` fill a folder and sends it to the workers under `name`, which must be new to the session.

    The archive stays in `scratch`, which must exist as long as the session. It is uncompressed and an archive because
    Spark sends local folders in local mode only. A machine fetches it once; each executor on it unpacks a copy.
    """
    folder, archive = scratch / name, scratch / f"{name}.tar"
    folder.mkdir()
    save(folder)
    with tarfile.open(archive, "w") as tar:
        for file in sorted(folder.iterdir()):
            tar.add(file, arcname=file.name)
            file.unlink()
    folder.rmdir()
    spark.sparkContext.addArchive(f"{archive.as_uri()}#{name}")
    return WorkerFolder(name)
