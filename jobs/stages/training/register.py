"""Registers a run's factors with their lineage as a version of the product's model; no others are published."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conf.diff import flattened
from conf.digest import digest_of_inputs, sha256_of
from conf.recipe import Recipe
from jobs.experiments.decisions import DecisionStore
from jobs.experiments.store import ExperimentError, ExperimentStore
from jobs.run.context import Run
from jobs.run.manifest import Manifest
from jobs.runtime.log import log, log_step
from jobs.runtime.versions import code_version
from jobs.stages.drift_table import DriftTable
from models.registry import RunInput, RunRecord, Version
from models.registry.lineage import (
    JUDGED_TAG,
    LINEAGE_TAG,
    Decision,
    Holdout,
    Input,
    InputPartition,
    Lineage,
    NoLineage,
    check_lineage,
)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def register_lineage(run: Run, made: Lineage, artifacts: Path | None = None) -> dict[str, str]:
    """Logs the lineage of the run's factors and registers them, once per run. Returns facts for the manifest.

    artifacts: a folder of files to log with it.
    """
    registry, drift = run.servers.registry, _input_drift(run)
    if drift.files:
        artifacts = artifacts or run.scratch / "drift"
        drift.save(artifacts)
    mlflow_run = registry.log_run(_record(run, made, drift.metrics, artifacts))
    kept = registry.lineage(mlflow_run) or ""  # an earlier attempt may have logged it
    tags = made.tags | {LINEAGE_TAG: sha256_of(kept)} | _decided(run)
    challenges = not run.is_control
    version = registry.register(run.settings.product, mlflow_run, run.folder.uri, tags, challenges=challenges)
    role = "the challenger" if challenges else "a control"
    log_step("train", f"registered as version {version}, {role} (MLflow run {mlflow_run})")
    return {"mlflow_run": mlflow_run, "version": version, "lineage": tags[LINEAGE_TAG]}


def _decided(run: Run) -> dict[str, str]:
    """Returns tags about the decision that gave the run its share; none without one."""
    part = run.manifest.experiment
    if part is None or part.is_control:
        return {}
    experiments = ExperimentStore.of(run.home, run.settings.product)
    try:
        week = experiments.get(part.experiment).weeks_over(run.as_of)
        decision = DecisionStore.of(experiments, part.experiment).find(week)
    except ExperimentError as error:
        log.warning("warning   MLflow does not get what was decided about the share: %s", error)
        return {}
    return decision.tags if decision is not None and decision.run_share_bp == run.share else {}


def _input_drift(run: Run) -> DriftTable:
    """Returns what gate 1 found of the history; nothing where other code wrote its report."""
    try:
        return DriftTable.of(run, "input_drift")
    except ValueError as error:
        log.warning("warning   MLflow does not get the drift of the inputs: %s", error)
        return DriftTable({}, {})


def note_judged(run: Run, manifest: Manifest) -> None:
    """Tags the version with the digest of the manifest that gate 2 passed, if the run has one. Raises NoLineage."""
    if run.is_popular:
        return
    run.servers.registry.note(_version_of(run), JUDGED_TAG, manifest.judged)


def refuse_without_lineage(run: Run) -> None:
    """Raises NoLineage unless the registry's lineage is of this run, its settings, code and tables.

    The manifest must also be the one whose digest was registered when gate 2 had passed. Lists of popular sources need
    none, since nothing was trained for them.
    """
    if run.is_popular:
        return
    model, version = run.manifest.fact("train", "model"), _version_of(run)
    wanted = {
        "discovery.run_id": run.run_id,
        "discovery.as_of": run.as_of.isoformat(),
        "discovery.config_hash": run.manifest.request.config_hash,
        "discovery.code_version": run.manifest.code_version,
        LINEAGE_TAG: model.get("lineage"),
    }
    checked = check_lineage(run.servers.registry, version)
    faults = [*checked.faults, *_other_tables(run, checked.lineage)]
    if version.tags.get(JUDGED_TAG) != run.manifest.judged:
        faults.append(f"manifest.json of run {run.run_id} is not the one that gate 2 passed ({JUDGED_TAG})")
    if other := [tag for tag, value in wanted.items() if version.tags.get(tag) != value]:
        faults.append(f"it is not the one that run {run.run_id} registered (other {', '.join(other)})")
    if version.mlflow_run != model["mlflow_run"] or version.source != run.folder.uri:
        faults.append(f"it is of another MLflow run or of other factors than those of run {run.run_id}")
    if faults:
        raise NoLineage(f"{_name_of(run)}: {'; '.join(faults)}; it is not published; start a new run")


def _version_of(run: Run) -> Version:
    """Returns the version that the run registered. Raises NoLineage."""
    version = run.servers.registry.version(run.settings.product, run.manifest.fact("train", "model")["version"])
    if version is None:
        raise NoLineage(f"{_name_of(run)} is gone; run {run.run_id} is not published; start a new run")
    return version


def _name_of(run: Run) -> str:
    number = run.manifest.fact("train", "model")["version"]
    return f"version {number} of {run.settings.product} in MLflow"


def _other_tables(run: Run, lineage: Lineage | None) -> Iterator[str]:
    """Yields tables up to the training whose digests in manifest and lineage differ."""
    made = {name: sha256 for stage in ("features", "train") for name, sha256 in run.manifest.stages[stage].made.items()}
    kept = made if lineage is None else lineage.made
    if other := sorted({name for name, _ in made.items() ^ kept.items()}):
        yield f"its lineage.json and manifest.json of run {run.run_id} hold other digests of {', '.join(other)}"


def lineage_of(run: Run, facts: dict[str, Any]) -> Lineage:
    """Returns the lineage of the run's factors; facts: `training`, `judged` and `decision` of the current stage."""
    manifest = run.manifest
    is_judged, decision = "skipped" not in facts["judged"], Decision.model_validate(facts["decision"])
    recipe = _recipe(run, decision)
    stages = {name: record.code_version for name, record in manifest.stages.items()}
    made = {name: sha256 for record in manifest.stages.values() for name, sha256 in record.made.items()}
    return Lineage(
        product=run.settings.product,
        run_id=run.run_id,
        as_of=run.as_of,
        created_at=manifest.created_at,
        started_by=manifest.started_by,
        factors=run.folder.uri,
        parent_run=manifest.serving_before,
        parent_version=None if manifest.champion is None else manifest.champion.version,
        config_hash=manifest.request.config_hash,
        settings=manifest.settings,
        recipe=recipe,
        decision=decision,
        seeds=_seeds({**manifest.settings, "train": recipe["train"]}),
        code={"run": manifest.code_version, **stages, "train": code_version()},
        libraries=manifest.libraries,
        inputs=tuple(_input(run, record) for record in _inputs(run, decision)),
        training=facts["training"],
        holdout=holdout_of(run.tables.read("holdout"), run.settings.split.holdout_days) if is_judged else None,
        judged=facts["judged"],
        made={**made, **run.folder.made()},
    )


def _seeds(settings: dict[str, Any]) -> dict[str, int]:
    return {name: value for name, value in flattened(settings).items() if name.split(".")[-1] == "seed"}


def _recipe(run: Run, decision: Decision) -> dict[str, Any]:
    champion = run.manifest.champion
    if decision.winner == "champion" and champion is not None and champion.recipe is not None:
        return champion.recipe
    return Recipe.of(run.settings).to_json()


def _inputs(run: Run, decision: Decision) -> list[dict[str, Any]]:
    """Returns the records of the datasets; for events, those that the winner read."""
    facts = run.manifest.stages["features"].facts
    inputs, champions = facts["inputs"], facts["champion_inputs"]
    if decision.winner == "challenger" or not champions:
        return list(inputs)
    events = run.settings.datasets.events
    return [*champions, *(record for record in inputs if record["name"] not in events)]


def _record(run: Run, made: Lineage, drift: Mapping[str, float], artifacts: Path | None) -> RunRecord:
    golden = made.golden
    numbers = {
        **{f"judged.{name}": value for name, value in made.judged.items()},
        **{f"golden.{name}": value for name, value in golden.items()},
        **made.training,
    }
    inputs = [RunInput(given.name, given.digest, given.uri) for given in made.inputs]
    if golden:
        inputs.append(RunInput(f"{golden['name']} {golden['version']}", golden["sha256"], "models/golden"))
    return RunRecord(
        product=made.product,
        run_id=made.run_id,
        code_version=made.code["run"],
        lineage=made.model_dump_json(indent=2),
        params={
            "as_of": made.as_of.isoformat(),
            "share_bp": int(run.share),
            "config_hash": made.config_hash,
            "winner": made.decision.winner,
            **({"golden.sha256": golden["sha256"]} if golden else {}),
            **{f"train.{name}": value for name, value in flattened(made.recipe["train"]).items()},
        },
        metrics={
            **{name: float(value) for name, value in numbers.items() if isinstance(value, int | float)},
            **drift,
        },
        inputs=inputs,
        artifacts=artifacts,
    )


def _input(run: Run, record: dict[str, Any]) -> Input:
    """Returns one dataset; its digest covers the fingerprints of the days that were read."""
    uri = run.data.child(run.settings.datasets.by_name[record["name"]].path).uri
    days = tuple(InputPartition.model_validate(day) for day in record["days"])
    digest = digest_of_inputs((day.day, day.fingerprint) for day in days)
    return Input.model_validate({**record, "uri": uri, "days": days, "digest": digest})


def holdout_of(pairs: "DataFrame", days: int) -> Holdout:
    """Identifies a truth (contract.holdout) by the sum of 64-bit hashes of its pairs, without collecting them."""
    from pyspark.sql import functions as sf  # here, because the operator's commands work without Spark

    total = sf.sum(sf.xxhash64("user_id", "source_id").cast("decimal(38,0)"))
    count, digest = pairs.agg(sf.count("*"), total).collect()[0]
    return Holdout(days=days, pairs=count, digest=f"{int(digest or 0) % 2**64:016x}")
