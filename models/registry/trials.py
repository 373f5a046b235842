"""Studies and their trials in MLflow: a run per study, and a child run per trial."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.registry.connection import MlflowConnection

if TYPE_CHECKING:
    from mlflow.entities import Run

STUDY_TAG, TRIAL_TAG, STATE_TAG = "discovery.study_id", "discovery.trial", "discovery.state"
_PARENT_TAG = "mlflow.parentRunId"
_ENDED = ("FINISHED", "FAILED")


@dataclass(frozen=True)
class StudyRun:
    """A study: `study_id` is unique, `name` is for people, `params` are common to its trials."""

    product: str
    name: str
    study_id: str
    code_version: str
    params: Mapping[str, str | int | float]


@dataclass(frozen=True)
class TrialRecord:
    """One trial that has ended."""

    number: int
    """From 1."""
    state: str
    is_failed: bool
    params: Mapping[str, str | int | float]
    metrics: Mapping[str, float]
    curve: Mapping[int, float]
    """Step → the metric `watched_ndcg`."""


@dataclass(frozen=True, repr=False)
class Trials(MlflowConnection):
    """The experiment `<product>-tuning` of every product; each method raises RegistryError."""

    def open_study(self, study: StudyRun) -> str:
        """Returns the MLflow run of a study, creating it if it does not exist."""
        from mlflow.entities import Param

        with self._mapped(f"log study {study.name}"):
            experiment = self._experiment(f"{study.product}-tuning")
            found = self._search(experiment, f"tags.`{STUDY_TAG}` = '{study.study_id}'")
            if found:
                return str(found[0].info.run_id)
            tags = {
                STUDY_TAG: study.study_id,
                "discovery.study": study.name,
                "discovery.product": study.product,
                "mlflow.source.git.commit": study.code_version,
            }
            run = self._client.create_run(experiment, tags=tags, run_name=study.name)
            params = [Param(name, str(value)) for name, value in study.params.items()]
            self._client.log_batch(run.info.run_id, params=params)
            return str(run.info.run_id)

    def logged(self, parent: str) -> set[int]:
        """Returns the numbers of the study's trials that are logged completely."""
        with self._mapped(f"look up the trials of the MLflow run {parent}"):
            return {int(run.data.tags[TRIAL_TAG]) for run in self._children(parent) if run.info.status in _ENDED}

    def log_trial(self, parent: str, trial: TrialRecord) -> None:
        """Logs a trial below its study, unless it is logged completely already."""
        from mlflow.entities import Metric, Param

        with self._mapped(f"log trial {trial.number} of the MLflow run {parent}"):
            run = self._open_trial(parent, trial)
            if run.info.status in _ENDED:
                return
            now = round(time.time() * 1000)
            metrics = [Metric(name, value, now, 0) for name, value in trial.metrics.items()]
            metrics += [Metric("watched_ndcg", value, now, step) for step, value in trial.curve.items()]
            params = [Param(name, str(value)) for name, value in trial.params.items()]
            self._client.log_batch(run.info.run_id, metrics=metrics, params=params)
            self._client.set_terminated(run.info.run_id, "FAILED" if trial.is_failed else "FINISHED")

    def close_study(self, parent: str, metrics: Mapping[str, float], artifacts: Path) -> None:
        """Logs the results of a study with the files of a folder; a study that goes on may be closed again."""
        from mlflow.entities import Metric

        with self._mapped(f"close the MLflow run {parent}"):
            now = round(time.time() * 1000)
            self._client.log_batch(parent, [Metric(name, value, now, 0) for name, value in metrics.items()])
            self._client.log_artifacts(parent, str(artifacts))
            self._client.set_terminated(parent, "FINISHED")

    def _open_trial(self, parent: str, trial: TrialRecord) -> "Run":
        known = [run for run in self._children(parent) if run.data.tags[TRIAL_TAG] == str(trial.number)]
        if known:
            return known[0]
        tags = {_PARENT_TAG: parent, TRIAL_TAG: str(trial.number), STATE_TAG: trial.state}
        experiment = self._client.get_run(parent).info.experiment_id
        return self._client.create_run(experiment, tags=tags, run_name=f"trial {trial.number}")

    def _children(self, parent: str) -> "list[Run]":
        experiment = self._client.get_run(parent).info.experiment_id
        found = self._search(experiment, f"tags.`{_PARENT_TAG}` = '{parent}'")
        return [run for run in found if TRIAL_TAG in run.data.tags]

    def _search(self, experiment: str, wanted: str) -> "list[Run]":
        found: list[Run] = []
        token: Any = None
        while True:
            page = self._client.search_runs([experiment], wanted, page_token=token)
            found += page
            token = page.token
            if not token:
                return found
