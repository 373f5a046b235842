"""Runs and model versions in MLflow."""

import datetime as dt
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from models.registry.connection import MlflowConnection, impatient
from models.registry.records import CARD_FOLDERS, CHALLENGER, CHAMPION, PREVIOUS, RUN_TAG, LoggedRun, RunRecord, Version

if TYPE_CHECKING:
    from mlflow.entities import Run

_BATCH = 100
"""Most parameters that MLflow accepts at once."""
_DIGEST = 36
"""Longest digest that MLflow stores; the whole digest is kept as a tag."""
_LINEAGE = "lineage.json"
_Found = TypeVar("_Found")


@dataclass(frozen=True, repr=False)
class ModelRegistry(MlflowConnection):
    """The runs of every product, and the versions of its model; each method raises RegistryError."""

    def log_run(self, record: RunRecord) -> str:
        """Logs a run in its product's experiment, unless it is logged already. Returns the MLflow run id."""
        with self._mapped(f"log run {record.run_id}"):
            if record.artifacts is not None and not record.artifacts.is_dir():
                raise FileNotFoundError(f"there is no folder {record.artifacts}")  # MLflow would log nothing
            experiment = self._experiment(record.product)
            run = self._find(experiment, record.run_id)
            if run is None:
                tags = {RUN_TAG: record.run_id, "discovery.product": record.product}
                tags["mlflow.source.git.commit"] = record.code_version
                run = self._client.create_run(experiment, tags=tags, run_name=record.run_id)
            if run.info.status != "FINISHED":
                self._log(run.info.run_id, record)
                self._client.set_terminated(run.info.run_id, "FINISHED")
            return str(run.info.run_id)

    def log_more(self, mlflow_run: str, metrics: Mapping[str, float], artifacts: Path) -> None:
        """Logs metrics and the files of a folder with a run that was logged before; files of the same name go."""
        from mlflow.entities import Metric

        with self._mapped(f"log metrics and files with the MLflow run {mlflow_run}"):
            now = round(time.time() * 1000)
            self._client.log_batch(mlflow_run, [Metric(name, value, now, 0) for name, value in metrics.items()])
            self._client.log_artifacts(mlflow_run, str(artifacts))

    def log_page(self, mlflow_run: str, name: str, page: str) -> None:
        """Logs a page with a run that was logged before, in place of one of that name; asks once, waits for nothing."""
        with self._mapped(f"log {name} with the MLflow run {mlflow_run}"), impatient():
            self._client.log_text(mlflow_run, page, name)

    def logged(self, mlflow_run: str) -> LoggedRun | None:
        """Returns a run in MLflow; None when there is none or it was deleted."""
        with self._mapped(f"look up the MLflow run {mlflow_run}"):
            run = _known(lambda: self._client.get_run(mlflow_run))
            if run is None or run.info.lifecycle_stage != "active":
                return None
            data = run.data
            return LoggedRun(data.tags.get(RUN_TAG), run.info.status == "FINISHED", data.params, data.metrics)

    def lineage(self, mlflow_run: str) -> str | None:
        """Returns the lineage that was logged with a run, unchanged; None when the run holds none."""
        with self._mapped(f"read the lineage of the MLflow run {mlflow_run}"):
            if _LINEAGE not in {kept.path for kept in self._client.list_artifacts(mlflow_run)}:
                return None
            with tempfile.TemporaryDirectory() as folder:
                return Path(self._client.download_artifacts(mlflow_run, _LINEAGE, folder)).read_text(encoding="utf-8")

    def fetch_model_card(self, mlflow_run: str, target: Path) -> list[Path]:
        """Copies the pages that were logged with a run into `target`. Returns the files; [] if there are none."""
        with self._mapped(f"fetch the pages of the MLflow run {mlflow_run}"), tempfile.TemporaryDirectory() as scratch:
            logged = {file.path for file in self._client.list_artifacts(mlflow_run)}
            folder = next((name for name in CARD_FOLDERS if name in logged), None)
            if folder is None:
                return []
            fetched = Path(self._client.download_artifacts(mlflow_run, folder, scratch))
            shutil.copytree(fetched, target, dirs_exist_ok=True)
            return sorted(target / file.relative_to(fetched) for file in fetched.rglob("*") if file.is_file())

    def register(
        self, product: str, mlflow_run: str, factors_uri: str, tags: Mapping[str, str], *, challenges: bool = True
    ) -> str:
        """Registers the factors at `factors_uri`, as challenger if it `challenges`; once per run and tags.

        A server (unlike a database) accepts only addresses that it can reach itself, such as object stores.
        """
        with self._mapped(f"register the factors of {product}"):
            self._ensure_model(product)
            found = self._versions(f"name = '{product}' and run_id = '{mlflow_run}'")
            same = [version.number for version in found if version.tags.items() >= tags.items()]
            if not same:
                made = self._client.create_model_version(product, factors_uri, mlflow_run, tags=dict(tags))
                same = [str(made.version)]
            if challenges:
                self._client.set_registered_model_alias(product, CHALLENGER, same[-1])
            return same[-1]

    def versions(self, product: str) -> list[Version]:
        """Returns every version of the product's model, newest first."""
        if self.is_new:
            return []
        with self._mapped(f"list the versions of {product}"):
            return self._versions(f"name = '{product}'")

    def version(self, product: str, number: str) -> Version | None:
        """Returns the version with this number; None if there is none."""
        with self._mapped(f"look up version {number} of {product}"):
            found = _known(lambda: self._client.get_model_version(product, number))
            return None if found is None else _version(found, self._aliases(product))

    def version_of(self, product: str, run_id: str) -> Version | None:
        """Returns the version that our run registered; None if there is none."""
        if self.is_new:
            return None
        with self._mapped(f"look up the version of run {run_id}"):
            found = self._versions(f"name = '{product}' and tags.`{RUN_TAG}` = '{run_id}'")
            return found[-1] if found else None  # a later version with these tags was not made by the run

    def name_serving(self, product: str, champion: Version | None, previous: Version | None) -> None:
        """Sets the aliases to what serves and what to roll back to; what serves is no challenger any more."""
        if self.is_new:
            return
        with self._mapped(f"name the champion of {product}"):
            now = self._aliases(product)
            for alias, version in ((PREVIOUS, previous), (CHAMPION, champion)):
                if version is None and alias in now:
                    self._client.delete_registered_model_alias(product, alias)
                elif version is not None and now.get(alias) != version.number:
                    self._client.set_registered_model_alias(product, alias, version.number)
            if champion is not None and now.get(CHALLENGER) == champion.number:
                self._client.delete_registered_model_alias(product, CHALLENGER)

    def note(self, version: Version, name: str, text: str) -> None:
        """Sets a remark on a version, in place of an earlier one with that name."""
        with self._mapped(f"keep a note with version {version.number} of {version.product}"):
            self._client.set_model_version_tag(version.product, version.number, name, text)

    def _find(self, experiment: str, run_id: str) -> "Run | None":
        found = self._client.search_runs([experiment], f"tags.`{RUN_TAG}` = '{run_id}'", max_results=1)
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
        self._client.log_text(mlflow_run, record.lineage, _LINEAGE)
        if record.artifacts is not None:
            self._client.log_artifacts(mlflow_run, str(record.artifacts))

    def _ensure_model(self, product: str) -> None:
        if not self._client.search_registered_models(f"name = '{product}'"):
            self._client.create_registered_model(product)

    def _versions(self, wanted: str) -> list[Version]:
        """Returns the versions that match a filter, newest first."""
        found = list(_pages(lambda token: self._client.search_model_versions(wanted, page_token=token)))
        aliases = self._aliases(found[0].name) if found else {}
        return sorted((_version(one, aliases) for one in found), key=lambda version: -int(version.number))

    def _aliases(self, product: str) -> dict[str, str]:
        """Returns alias → version number."""
        models = self._client.search_registered_models(f"name = '{product}'")
        return {alias: str(number) for alias, number in models[0].aliases.items()} if models else {}


def _version(found: Any, aliases: Mapping[str, str]) -> Version:
    number = str(found.version)
    return Version(
        product=found.name,
        number=number,
        created_at=dt.datetime.fromtimestamp(found.creation_timestamp / 1000, dt.UTC),
        source=found.source,
        mlflow_run=found.run_id or None,
        tags=dict(found.tags),
        aliases=tuple(sorted(alias for alias, named in aliases.items() if named == number)),
    )


def _pages(search: Callable[[str | None], Any]) -> Iterator[Any]:
    token: str | None = None
    while True:
        page: Iterable[Any] = search(token)
        yield from page
        token = getattr(page, "token", None)
        if not token:
            return


def _known(look_up: Callable[[], _Found]) -> _Found | None:
    """Returns what `look_up` returns; None when MLflow reports that it does not exist."""
    from mlflow.exceptions import MlflowException

    try:
        return look_up()
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
