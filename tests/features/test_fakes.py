"""The fake catalog keeps the contract."""

import pytest
from pyspark.sql import SparkSession

from features.fakes import FakeCatalog
from tests.features.catalog_contract import CatalogContract, Make


class TestFakeCatalog(CatalogContract):
    @pytest.fixture
    def make(self, spark: SparkSession) -> Make:
        return lambda tables: FakeCatalog(spark, tables)
