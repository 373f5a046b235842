"""A pytest plugin: one MLflow store for the test session."""

import pytest

from models.registry import ModelRegistry


@pytest.fixture(scope="session")
def model_store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An MLflow store for the whole session: making one takes seconds; each test has a product of its own."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"
    ModelRegistry(uri).check()
    return uri


def version_at(registry: ModelRegistry, product: str, alias: str = "champion") -> str | None:
    """The version that an alias points at; None when there is no such alias or model."""
    named = {name: version.number for version in registry.versions(product) for name in version.aliases}
    return named.get(alias)
