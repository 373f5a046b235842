"""The fake catalog keeps the contract."""

import pytest
from pyspark.sql import SparkSession

from tests.features.catalog_contract import CatalogContract, Make
from tests.features.fakes import FakeCatalog


class TestFakeCatalog(CatalogContract):
    @pytest.fixture
    def make(self, spark: SparkSession) -> Make:
        return lambda tables: FakeCatalog(spark, tables)
