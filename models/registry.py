"""Runs and model versions in MLflow; no other module talks to it."""

import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from models.errors import RegistryError

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

_RUN_TAG = "discovery.run_id"
_CONNECT_SECONDS = 5
_BATCH = 100
"""Most parameters that MLflow takes at once."""
_DIGEST = 36
"""Longest digest that MLflow stores; the whole one is kept as a tag."""

CHAMPION, PREVIOUS = "champion", "previous"


@dataclass(frozen=True)
class RunInput:
    """One dataset that a run read: its name, the fingerprint of what was read, and where it lies."""

    name: str
    digest: str
    source: str


@dataclass(frozen=True)
class RunRecord:
    """What is known of a run: its configuration as text, the code's version, parameters, metrics, inputs."""

    product: str
    run_id: str
    code_version: str
    config: str
    params: Mapping[str, str | int | float]
    metrics: Mapping[str, float]
    inputs: Sequence[RunInput] = ()
    artifacts: Path | None = None
    """Folder of files to keep with the run."""


@dataclass(frozen=True)
class Registry:
    """The MLflow store or server at `tracking_uri`, which may hold a password and is never shown."""

    tracking_uri: str

    def __repr__(self) -> str:
        return f"Registry({self.where})"

    @property
    def where(self) -> str:
        """The address without credentials."""
        address, _, _ = self.tracking_uri.partition("?")
        netloc = urlsplit(address).netloc
        return address.replace(netloc, netloc.rpartition("@")[2], 1) if netloc else address

    def check(self) -> None:
        """Returns when the store answers; raises RegistryError within seconds when it does not."""
        with self._mapped("answer"), _impatient():
            parts = urlsplit(self.tracking_uri)
            if parts.scheme in ("http", "https") and parts.hostname:
                port = parts.port if parts.port is not None else {"http": 80, "https": 443}[parts.scheme]
                socket.create_connection((parts.hostname, port), _CONNECT_SECONDS).close()
            self._client.search_experiments(max_results=1)

    def log_run(self, record: RunRecord) -> str:
        """Logs a run under its product's experiment; gives the MLflow run id. A run that is logged already is kept."""
        with self._mapped(f"log run {record.run_id}"):
            if record.artifacts is not None and not record.artifacts.is_dir():
                raise FileNotFoundError(f"there is no folder {record.artifacts}")  # MLflow would log nothing
            experiment = self._experiment(record.product)
            run = self._find(experiment, record.run_id)
            if run is None:
                tags = {_RUN_TAG: record.run_id, "discovery.product": record.product}
                tags["mlflow.source.git.commit"] = record.code_version
                run = self._client.create_run(experiment, tags=tags, run_name=record.run_id)
            if run.info.status != "FINISHED":
                self._log(run.info.run_id, record)
                self._client.set_terminated(run.info.run_id, "FINISHED")
            return str(run.info.run_id)

    def register(self, product: str, mlflow_run: str, factors_uri: str, tags: Mapping[str, str]) -> str:
        """Registers the factors at `factors_uri` as a version of the product's model; the same run, the same version.

        A server (unlike a database) accepts addresses that it can reach itself, such as object stores.
        """
        with self._mapped(f"register the factors of {product}"):
            self._ensure_model(product)
            found = self._client.search_model_versions(f"name = '{product}' and run_id = '{mlflow_run}'")
            if found:
                return str(found[0].version)
            version = self._client.create_model_version(product, factors_uri, mlflow_run, tags=dict(tags))
            return str(version.version)

    def tags_of(self, product: str, version: str) -> Mapping[str, str]:
        """The tags of a registered version; raises RegistryError when there is none."""
        with self._mapped(f"look up version {version} of {product}"):
            return dict(self._client.get_model_version(product, version).tags)

    def promote_alias(self, product: str, version: str, alias: str = CHAMPION) -> None:
        """Points `alias` at a version; the champion that it replaces stays reachable as `previous`."""
        with self._mapped(f"promote version {version} of {product}"):
            current = self._version_at(product, alias)
            if current == version:
                return
            if alias == CHAMPION and current is not None:
                self._client.set_registered_model_alias(product, PREVIOUS, current)
            self._client.set_registered_model_alias(product, alias, version)

    def champion(self, product: str) -> str | None:
        """The version that serves; None before the first promotion."""
        return self.version_at(product, CHAMPION)

    def version_at(self, product: str, alias: str) -> str | None:
        """The version that an alias points at; None when there is no such alias or model."""
        with self._mapped(f"look up {alias} of {product}"):
            return self._version_at(product, alias)

    @cached_property
    def _client(self) -> "MlflowClient":
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when mlflow is imported
        from mlflow.tracking import MlflowClient

        if (folder := self._folder) is not None:
            folder.mkdir(parents=True, exist_ok=True)
        return MlflowClient(self.tracking_uri, self.tracking_uri)

    @property
    def _folder(self) -> Path | None:
        """The folder of an SQLite file."""
        scheme, _, path = self.tracking_uri.partition(":///")
        return Path(path).absolute().parent if scheme.startswith("sqlite") else None

    def _experiment(self, product: str) -> str:
        if found := self._client.get_experiment_by_name(product):
            return str(found.experiment_id)
        # Without a server, MLflow would put artifacts below the current folder.
        artifacts = (self._folder / "mlflow-artifacts" / product).as_uri() if self._folder else None
        return str(self._client.create_experiment(product, artifact_location=artifacts))

    def _find(self, experiment: str, run_id: str) -> "Run | None":
        found = self._client.search_runs([experiment], f"tags.`{_RUN_TAG}` = '{run_id}'", max_results=1)
        return found[0] if found else None

    def _log(self, mlflow_run: str, record: RunRecord) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param

        now = round(time.time() * 1000)
        params = [Param(name, str(value)) for name, value in record.params.items()]
        for start in range(0, len(params), _BATCH):
            self._client.log_batch(mlflow_run, params=params[start : start + _BATCH])
        self._client.log_batch(mlflow_run, [Metric(name, value, now, 0) for name, value in record.metrics.items()])
        inputs = [
            DatasetInput(
                Dataset(given.name, given.digest[:_DIGEST], "discovery", given.source),
                [InputTag("discovery.digest", given.digest)],
            )
            for given in record.inputs
        ]
        self._client.log_inputs(mlflow_run, inputs)
        self._client.log_text(mlflow_run, record.config, "config.yml")
        if record.artifacts is not None:
            self._client.log_artifacts(mlflow_run, str(record.artifacts))

    def _ensure_model(self, product: str) -> None:
        if not self._client.search_registered_models(f"name = '{product}'"):
            self._client.create_registered_model(product)

    def _version_at(self, product: str, alias: str) -> str | None:
        models = self._client.search_registered_models(f"name = '{product}'")
        versions = models[0].aliases if models else {}
        return str(versions[alias]) if alias in versions else None

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
