"""The connection to MLflow: one address, errors without its password, and no waiting for a server that is down."""

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import RegistryError, RegistryRefused
from models.registry.address import file_of, password_of, server_of, shown
from models.registry.new_store import begin_store, empty_store

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

_CONNECT_SECONDS = 5
_STRANGE_ANSWER = re.compile(r"not in a valid JSON format|error code (40[1345]|501) != 200")
"""MLflow's client messages for a web page, a service without such an endpoint, and a wrong login."""


@dataclass(frozen=True, repr=False)
class MlflowConnection:
    """The MLflow store or server at `tracking_uri`, which may hold a password and is never shown."""

    tracking_uri: str

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.where})"

    @property
    def where(self) -> str:
        """The address without credentials."""
        return shown(self.tracking_uri)

    @property
    def is_new(self) -> bool:
        """Whether it is an SQLite file that does not exist yet; searching in it must not create it."""
        return self._file is not None and not self._file.exists()

    def check(self) -> None:
        """Checks that the store answers. Raises RegistryError within seconds when it does not, and RegistryRefused."""
        with self._mapped("answer", at_start=True), impatient():
            server = server_of(self.tracking_uri)
            if server is not None and not self.tracking_uri.startswith("http"):
                _import_driver(self.tracking_uri)
            if server is not None:
                socket.create_connection(server, _CONNECT_SECONDS).close()
            self._client.search_experiments(max_results=1)

    @cached_property
    def _client(self) -> "MlflowClient":
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when mlflow is imported
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")  # our files are small
        from mlflow.tracking import MlflowClient

        server_of(self.tracking_uri)
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            begin_store(self._file, empty_store())
        return MlflowClient(self.tracking_uri, self.tracking_uri)

    def _experiment(self, name: str) -> str:
        """Returns the id of the experiment with this name, creating it if it does not exist."""
        if found := self._client.get_experiment_by_name(name):
            return str(found.experiment_id)
        # Without a server, MLflow would put artifacts below the current folder.
        artifacts = (self._file.parent / "mlflow-artifacts" / name).as_uri() if self._file else None
        return str(self._client.create_experiment(name, artifact_location=artifacts))

    @property
    def _file(self) -> Path | None:
        """The SQLite file; None for any other store."""
        return file_of(self.tracking_uri)

    @contextmanager
    def _mapped(self, doing: str, *, at_start: bool = False) -> Iterator[None]:
        """Raises errors of MLflow, database and network as RegistryError, without the password.

        At the start of a job, an address that is no MLflow store raises RegistryRefused; later it may be a server that
        restarts.
        """
        from mlflow.exceptions import MlflowException
        from requests import RequestException
        from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError

        try:
            yield
        except (ModuleNotFoundError, NoSuchModuleError) as error:
            package = error.name if isinstance(error, ModuleNotFoundError) else "the driver that the address names"
            raise RegistryRefused(
                f"MLflow at {self.where} needs the Python package {package}, which is not installed: install it in the "
                "job's environment, or run an MLflow server before that database and name its http:// address"
            ) from None
        except (MlflowException, RequestException, SQLAlchemyError, OSError) as error:
            cause = self._clean(f"{type(error).__name__}: {error}".splitlines()[0])
            kind, advice = RegistryError, "check MLFLOW_TRACKING_URI and that it is up"
            if at_start and _is_no_mlflow(error):
                kind, advice = RegistryRefused, "MLFLOW_TRACKING_URI must name an MLflow store, and a user it lets in"
            raise kind(  # without its cause, which would show the address with its password
                f"MLflow at {self.where} could not {doing} ({cause}); {advice}"
            ) from None

    def _clean(self, text: str) -> str:
        password = password_of(self.tracking_uri)
        cleaned = text.replace(self.tracking_uri, self.where)
        return cleaned.replace(password, "***") if password else cleaned


@contextmanager
def impatient() -> Iterator[None]:
    """Lets MLflow's requests fail at once instead of after minutes; it reads these variables at each request."""
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


def _import_driver(uri: str) -> None:
    """Raises ModuleNotFoundError or NoSuchModuleError if the database's Python package is missing."""
    from sqlalchemy import make_url

    make_url(uri).get_dialect().import_dbapi()


def _is_no_mlflow(error: Exception) -> bool:
    """Returns whether the answer is not from an MLflow store, or from one that does not know this user."""
    from mlflow.exceptions import MlflowException, RestException
    from sqlalchemy.exc import DatabaseError, OperationalError

    if isinstance(error, DatabaseError):
        return not isinstance(error, OperationalError)
    if isinstance(error, RestException):
        return "error_code" not in error.json
    return isinstance(error, MlflowException) and _STRANGE_ANSWER.search(str(error)) is not None
