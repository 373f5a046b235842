"""What every catalog keeps, on a real S3."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jobs.storage.store import Storage
from tests.cluster.days import catalogs_in
from tests.cluster.object_store.conftest import BUCKET
from tests.features.catalog_contract import CatalogContract, Make
from tests.support.odd_names import ODD


class TestOnS3(CatalogContract):
    @pytest.fixture
    def make(self, spark_on_s3: SparkSession, tmp_path: Path) -> Make:
        return catalogs_in(Storage(f"s3a://{BUCKET}{tmp_path}").child(ODD), spark_on_s3)
