"""New stores begin with a copy of an empty one; every fault of that leaves the work to MLflow."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from deploy.mlflow_store import make_store
from models.registry import ModelRegistry, connection
from models.registry.new_store import begin_store


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The empty store, made by an MLflow that found none."""
    made = tmp_path_factory.mktemp("empty") / "empty.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "empty_store", lambda: made)
        make_store(made)
    return made


def schema_of(store: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(store)) as opened:
        return opened.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()


def test_a_new_store_begins_with_a_copy(empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "empty_store", lambda: empty)
    monkeypatch.setattr("mlflow.store.db.utils._initialize_tables", lambda _: pytest.fail("MLflow made its tables"))
    file = tmp_path / "new/mlflow.db"
    registry = ModelRegistry(f"sqlite:///{file}")
    registry.check()
    assert schema_of(file) == schema_of(empty)
    assert registry.versions("groups") == []
    assert [found.name for found in file.parent.iterdir()] == ["mlflow.db"]
    with closing(sqlite3.connect(empty)) as opened:  # the default one holds the path of a folder
        assert opened.execute("SELECT count(*) FROM experiments").fetchone() == (0,)


def test_a_store_that_exists_is_left_as_it_is(empty: Path, tmp_path: Path) -> None:
    file = tmp_path / "mlflow.db"
    file.write_bytes(b"ours")
    begin_store(file, empty)
    assert file.read_bytes() == b"ours"


def test_without_an_empty_store_mlflow_makes_the_new_one(tmp_path: Path) -> None:
    begin_store(tmp_path / "mlflow.db", tmp_path / "none.db")
    begin_store(tmp_path / "no folder/mlflow.db", Path(__file__))
    assert [*tmp_path.iterdir()] == []
