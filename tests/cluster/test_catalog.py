"""What every catalog keeps, on a real HDFS."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from deploy.servers.hadoop_cluster import HadoopCluster
from jobs.storage.store import Storage
from tests.cluster.days import catalogs_in
from tests.features.catalog_contract import CatalogContract, Make
from tests.support.odd_names import ODD


class TestOnHdfs(CatalogContract):
    @pytest.fixture
    def make(self, spark: SparkSession, hdfs: HadoopCluster, tmp_path: Path) -> Make:
        return catalogs_in(Storage(f"{hdfs.uri}{tmp_path}").child(ODD), spark)
