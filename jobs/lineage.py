"""What MLflow holds of a run: parameters, metrics, inputs, configuration, code version; and the model version."""

import hashlib
from typing import Any

import yaml

from conf.errors import Refused
from jobs.log import tell
from jobs.run import Run
from models.registry import RunInput, RunRecord


class NoLineage(Refused):
    """The registry does not vouch for the factors of a run."""


def register_factors(run: Run, facts: dict[str, Any]) -> dict[str, str]:
    """Logs the run and registers its factors as a version of the product's model; the same run, the same version."""
    registry = run.edges.registry
    mlflow_run = registry.log_run(_record(run, facts))
    version = registry.register(run.settings.product, mlflow_run, run.folder.uri, _tags(run))
    tell("train", f"registered as version {version} of {run.settings.product} (MLflow run {mlflow_run})")
    return {"mlflow_run": mlflow_run, "version": version}


def refuse_without_lineage(run: Run) -> None:
    """Raises NoLineage unless the registry knows the run's factors as made by this run, configuration and code."""
    version = run.manifest.fact("train", "model")["version"]
    known, wanted = run.edges.registry.tags_of(run.settings.product, version), _tags(run)
    if wrong := [name for name, value in wanted.items() if known.get(name) != value]:
        raise NoLineage(
            f"version {version} of {run.settings.product} in MLflow is not the one that run {run.run_id} registered "
            f"(other {', '.join(wrong)}); it is not published; start a new run"
        )


def _tags(run: Run) -> dict[str, str]:
    return {
        "discovery.run_id": run.run_id,
        "discovery.config_hash": run.manifest.request.config_hash,
        "discovery.code_version": run.manifest.code_version,
        "discovery.as_of": run.as_of.isoformat(),
    }


def _record(run: Run, facts: dict[str, Any]) -> RunRecord:
    numbers = {**{f"judged_{name}": value for name, value in facts["judged"].items()}, **facts["training"]}
    return RunRecord(
        product=run.settings.product,
        run_id=run.run_id,
        code_version=run.manifest.code_version,
        config=yaml.safe_dump(run.manifest.settings, sort_keys=True),
        params={
            "as_of": run.as_of.isoformat(),
            "share_bp": run.share.bp,
            "config_hash": run.manifest.request.config_hash,
            **{f"train.{name}": value for name, value in run.settings.train.model_dump().items()},
        },
        metrics={name: float(value) for name, value in numbers.items() if isinstance(value, int | float)},
        inputs=[_input(run, record) for record in run.manifest.fact("features", "inputs")],
    )


def _input(run: Run, record: dict[str, Any]) -> RunInput:
    """One dataset: its digest is the hash over the fingerprints of the days that were read."""
    days = "".join(f"{day['day']}={day['fingerprint']};" for day in record["days"])
    dataset = run.settings.datasets.by_name[record["name"]]
    return RunInput(record["name"], hashlib.sha256(days.encode()).hexdigest()[:32], run.data.child(dataset.path).uri)
