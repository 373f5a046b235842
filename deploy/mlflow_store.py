"""Makes the empty MLflow store that new ones begin with (`models.registry.new_store`); `make env` calls it."""

import tempfile
from pathlib import Path

from models.registry import ModelRegistry
from models.registry.new_store import empty_store, without_experiments


def make_store(empty: Path) -> None:
    """Writes the empty store as a whole, unless it exists. Raises RegistryError."""
    if empty.exists():
        return
    with tempfile.TemporaryDirectory(dir=empty.parent) as folder:
        made = Path(folder) / "mlflow.db"
        ModelRegistry(f"sqlite:///{made}").check()
        without_experiments(made)
        made.replace(empty)


if __name__ == "__main__":
    make_store(empty_store())
