"""The way to MLflow: one address, faults told without its password, and no waiting for a server that is away."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from models.errors import RegistryError

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

_CONNECT_SECONDS = 5


@dataclass(frozen=True, repr=False)
class Connection:
    """The MLflow store or server at `tracking_uri`, which may hold a password and is never shown."""

    tracking_uri: str

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.where})"

    @property
    def where(self) -> str:
        """The address without credentials."""
        address, _, _ = self.tracking_uri.partition("?")
        netloc = urlsplit(address).netloc
        return address.replace(netloc, netloc.rpartition("@")[2], 1) if netloc else address

    @property
    def is_new(self) -> bool:
        """Whether it is an SQLite file that nobody made yet; looking for something in it must not make it."""
        return self._file is not None and not self._file.exists()

    def check(self) -> None:
        """Returns when the store answers; raises RegistryError within seconds when it does not."""
        with self._mapped("answer"), _impatient():
            parts = urlsplit(self.tracking_uri)
            if parts.scheme in ("http", "https") and parts.hostname:
                port = parts.port if parts.port is not None else {"http": 80, "https": 443}[parts.scheme]
                socket.create_connection((parts.hostname, port), _CONNECT_SECONDS).close()
            self._client.search_experiments(max_results=1)

    @cached_property
    def _client(self) -> "MlflowClient":
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when mlflow is imported
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")  # our files are small
        from mlflow.tracking import MlflowClient

        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
        return MlflowClient(self.tracking_uri, self.tracking_uri)

    def _experiment(self, name: str) -> str:
        """The experiment of this name, made unless it is there."""
        if found := self._client.get_experiment_by_name(name):
            return str(found.experiment_id)
        # Without a server, MLflow would put artifacts below the current folder.
        artifacts = (self._file.parent / "mlflow-artifacts" / name).as_uri() if self._file else None
        return str(self._client.create_experiment(name, artifact_location=artifacts))

    @property
    def _file(self) -> Path | None:
        """The SQLite file; None for any other store."""
        scheme, _, path = self.tracking_uri.partition(":///")
        return Path(path).absolute() if scheme.startswith("sqlite") else None

    @contextmanager
    def _mapped(self, doing: str) -> Iterator[None]:
        """MLflow's, the database's and the network's errors as RegistryError, without the password."""
        from mlflow.exceptions import MlflowException
        from requests import RequestException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except (MlflowException, RequestException, SQLAlchemyError, OSError) as error:
            said = self._clean(f"{type(error).__name__}: {error}".splitlines()[0])
            raise RegistryError(
                f"MLflow at {self.where} could not {doing} ({said}); check MLFLOW_TRACKING_URI and that it is up"
            ) from None  # the cause would show the address with its password

    def _clean(self, text: str) -> str:
        password = urlsplit(self.tracking_uri).password
        cleaned = text.replace(self.tracking_uri, self.where)
        return cleaned.replace(password, "***") if password else cleaned


@contextmanager
def _impatient() -> Iterator[None]:
    """Requests of MLflow fail at once instead of after minutes; it reads this from the environment at each request."""
    hurry = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": str(_CONNECT_SECONDS)}
    before = {name: os.environ.get(name) for name in hurry}
    os.environ.update(hurry)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
