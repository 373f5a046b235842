"""What MLflow holds of a run: parameters, metrics, inputs, configuration, code version; and the model version."""

import hashlib
from typing import Any

import yaml

from jobs.log import tell
from jobs.run import Run
from models.registry import RunInput, RunRecord


def register_factors(run: Run, facts: dict[str, Any]) -> dict[str, str]:
    """Logs the run and registers its factors as a version of the product's model; the same run, the same version."""
    registry = run.edges.registry
    mlflow_run = registry.log_run(_record(run, facts))
    tags = {
        "discovery.run_id": run.run_id,
        "discovery.config_hash": run.manifest.request.config_hash,
        "discovery.code_version": run.manifest.code_version,
        "discovery.as_of": run.as_of.isoformat(),
    }
    version = registry.register(run.settings.product, mlflow_run, run.folder.uri, tags)
    tell("train", f"registered as version {version} of {run.settings.product} (MLflow run {mlflow_run})")
    return {"mlflow_run": mlflow_run, "version": version}


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
