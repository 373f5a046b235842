"""What every catalog keeps, on a real S3."""

import datetime as dt
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from jobs.storage.datasets import SparkCatalog
from jobs.storage.store import Storage
from tests.cluster.days import upload_day
from tests.cluster.object_store.conftest import BUCKET
from tests.features.catalog_contract import CatalogContract, Make
from tests.support.odd_names import ODD


class TestOnS3(CatalogContract):
    @pytest.fixture
    def make(self, spark_on_s3: SparkSession, tmp_path: Path) -> Make:
        root = Storage(f"s3a://{BUCKET}{tmp_path}").child(ODD)

        def build(tables: Mapping[str, Mapping[dt.date, pa.Table | None]]) -> SparkCatalog:
            for path, days in tables.items():
                root.write_bytes(f"data/{path}/README", b"")  # a folder also where there is no day
                for day, content in days.items():
                    upload_day(root.child(f"data/{path}"), day, content)
            return SparkCatalog(lambda: spark_on_s3, root.child("data"), root.child("partials"))

        return build
