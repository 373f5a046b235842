"""A pytest plugin: one MLflow store for the test session."""

import pytest

from models.registry import ModelRegistry


@pytest.fixture(scope="session")
def model_store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An MLflow store for the whole session: making one takes seconds; each test has a product of its own."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"
    ModelRegistry(uri).check()
    return uri
