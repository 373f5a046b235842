"""Folders that no storage has, or that Spark was not started for, are refused by what names them."""

import pytest
from pyspark.sql import SparkSession

from conf.errors import ConfigError
from jobs.storage.folders import check_folders, check_spark_reads, folders_of
from jobs.storage.store import Storage
from tests.features.world import settings


def test_every_folder_of_a_product() -> None:
    product = settings(audience={"path": "s3a://bucket/audience"})
    assert {said: folder.uri for said, folder in folders_of(Storage("/srv/discovery"), product).items()} == {
        "DISCOVERY_HOME": "/srv/discovery",
        "data_root": "/srv/discovery/data",
        "path of dataset 'clicks'": "/srv/discovery/data/clicks",
        "path of dataset 'audience'": "s3://bucket/audience",
    }


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"data_root": "ftp://x"}, "data_root: ftp://x: no storage of the kind ftp://"),
        ({"data_root": "s3a://key:hunter2@b/x"}, r"data_root: s3a://\*\*\*b/x"),
    ],
)
def test_what_names_no_folder(changes: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        check_folders(Storage("/srv/discovery"), settings().model_copy(update=changes))
    product = settings(events={"clicks": {"path": "abfss://x/y", "window": "3 days ago:today"}})
    with pytest.raises(ConfigError, match="path of dataset 'clicks': abfss://x/y: write abfss://container@account"):
        check_folders(Storage("/srv/discovery"), product)


def test_spark_without_the_connector_of_a_storage(spark: SparkSession) -> None:
    with pytest.raises(
        ConfigError, match=r"Spark cannot read s3a:// .*S3AFileSystem not found.*start it with hadoop-aws"
    ):
        check_spark_reads(spark, [Storage("/srv/discovery"), Storage("hdfs://nn/x"), Storage("s3://bucket/x")])
