"""Begins a new SQLite store with a copy of an empty one, which `make env` keeps: MLflow makes its tables in seconds."""

import os
import shutil
import sqlite3
import sys
import uuid
from contextlib import closing, suppress
from pathlib import Path


def empty_store() -> Path:
    """Returns where this environment keeps the empty store of its own version of MLflow."""
    from mlflow.version import VERSION  # here, because MLflow takes seconds to import

    return Path(sys.prefix) / f"mlflow-{VERSION}.db"


def begin_store(file: Path, empty: Path) -> None:
    """Copies the empty store to `file`, as a whole, unless that exists; does nothing if it cannot, as MLflow will."""
    if file.exists() or not empty.exists():
        return
    part = file.with_name(f".{file.name}-{uuid.uuid4().hex}")
    with suppress(OSError):
        try:
            shutil.copyfile(empty, part)
            os.link(part, file)  # unlike a move, it replaces no store that somebody has made meanwhile
        finally:
            part.unlink(missing_ok=True)


def without_experiments(store: Path) -> None:
    """Deletes the experiment that MLflow makes in a new store, since it holds the path of that store's folder."""
    with closing(sqlite3.connect(store)) as connection, connection:
        connection.execute("DELETE FROM experiments")
