"""Fixtures that every room's tests share."""

import logging
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.support.spark import small_session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytest_plugins = ["tests.support.servers", "tests.support.secure_servers", "tests.support.model_store"]

os.environ.update(
    PYSPARK_PYTHON=sys.executable,
    PYSPARK_DRIVER_PYTHON=sys.executable,
    SPARK_LOCAL_IP="127.0.0.1",
    OPENBLAS_NUM_THREADS="1",
    SPARK_SUBMIT_OPTS="-XX:TieredStopAtLevel=1",  # small runs: what the second compiler takes never pays
    MLFLOW_DISABLE_TELEMETRY="true",
    GX_ANALYTICS_ENABLED="false",
)

settings.register_profile("new", deadline=None, suppress_health_check=[HealthCheck.too_slow])  # no test asserts a time
settings.register_profile("same", parent=settings.get_profile("new"), derandomize=True)
settings.load_profile("same")  # what fails here fails everywhere; --hypothesis-profile=new looks for other examples


@pytest.fixture(autouse=True)
def _no_log_to_a_closed_stream() -> Iterator[None]:
    """A command that a test runs within this process logs to a stream that ends with the test."""
    root = logging.getLogger()
    before = root.handlers[:]
    yield
    for handler in root.handlers[:]:
        if handler not in before and type(handler) is logging.StreamHandler:
            root.removeHandler(handler)


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator["SparkSession"]:
    """One small Spark session for the whole test run."""
    session = small_session(tmp_path_factory.mktemp("warehouse"))
    yield session
    session.stop()
