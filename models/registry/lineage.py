"""The lineage: everything that made a model version, as a document in MLflow, and the check that it can be trusted.

A version's tags hold what is searched for and compared (run, day, hashes, parent) and the SHA-256 of the document, so
that a change to it is noticed. The document is an artifact of the MLflow run, because a year of partitions and all
settings are too long for tags; the metrics and parameters of that run repeat its numbers for MLflow's own tables.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from conf.digest import digest_of_inputs, sha256_of
from conf.errors import Refused
from conf.recipe import Recipe, completed
from conf.settings import Settings
from models.registry import ModelRegistry, Version

NO_PARENT = "none"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)  # unknown keys of newer code are ignored


class InputPartition(_Record):
    """One partition that was read."""

    day: dt.date
    fingerprint: str
    rows: int


class Input(_Record):
    """One dataset: its window, the partitions read, and a digest of their fingerprints."""

    name: str
    uri: str
    start: dt.date
    end: dt.date
    """Day after the last day of the window."""
    digest: str
    days: tuple[InputPartition, ...]
    judged_days: tuple[dt.date, ...]
    """Partitions that the judged recipe was trained on."""


class Holdout(_Record):
    """The truth that the recipe was judged on: number of pairs (user, source) and a digest that ignores their order."""

    days: int
    pairs: int
    digest: str


class Decision(_Record):
    """Which recipe a run refits and serves, its own (challenger) or the champion's, and why."""

    winner: Literal["challenger", "champion"]
    reason: str = Field(min_length=1)


class Lineage(_Record):
    """Everything that made a version; an empty field counts as missing."""

    product: str
    run_id: str
    as_of: dt.date
    created_at: dt.datetime
    started_by: str
    factors: str
    """URI of the run's folder, which holds the factors."""
    parent_run: str | None
    """Run that served when this one was created."""
    parent_version: str | None
    """Version of that run: the champion of that moment."""
    config_hash: str = Field(min_length=1)
    settings: dict[str, Any] = Field(min_length=1)
    recipe: dict[str, Any] = Field(min_length=1)
    """conf.recipe.Recipe of the factors: that of the settings, or the champion's where that one won."""
    decision: Decision
    """Which of the two recipes it is, and why."""
    seeds: dict[str, int] = Field(min_length=1)
    """Name of the setting → seed."""
    code: dict[str, str] = Field(min_length=1)
    """Stage → code version; `run`: the version when the run was created."""
    libraries: dict[str, str] = Field(min_length=1)
    inputs: tuple[Input, ...] = Field(min_length=1)
    training: dict[str, Any] = Field(min_length=1)
    holdout: Holdout | None
    """None if the recipe was not judged."""
    judged: dict[str, int | float | str] = Field(min_length=1)
    """models.judge.Judgement.flat, or `skipped` with the reason."""
    made: dict[str, str] = {}
    """SHA-256 of each table and file of the run at that time; empty in older versions."""
    golden: dict[str, Any] = {}
    """models.golden.GoldenMetrics of the recipe; empty in older versions."""
    shapes: dict[str, Any] = {}
    """models.model_card.Shape of the scores and norms, by name; empty in older versions."""

    @model_validator(mode="before")
    @classmethod
    def _of_older_code(cls, document: Any) -> Any:
        """Completes a document of older code: with the recipe of its settings, or with what an older recipe lacks."""
        if not isinstance(document, dict) or not document.get("settings"):
            return document
        if "recipe" in document:
            whole = document["recipe"] and completed(document["recipe"], document["settings"])
            return {**document, "recipe": whole}
        try:
            recipe = Recipe.of(Settings.model_validate(document["settings"])).to_json()
        except ValidationError:
            recipe = {"train": document["settings"].get("train", {})}
        reason = "made before recipes competed"
        return {**document, "recipe": recipe, "decision": {"winner": "challenger", "reason": reason}}

    @property
    def tags(self) -> dict[str, str]:
        """The tags of the version that repeat the lineage."""
        return {
            "discovery.run_id": self.run_id,
            "discovery.as_of": self.as_of.isoformat(),
            "discovery.config_hash": self.config_hash,
            "discovery.code_version": self.code["run"],
            "discovery.inputs": digest_of_inputs((given.name, given.digest) for given in self.inputs),
            "discovery.parent_version": self.parent_version or NO_PARENT,
        }


LINEAGE_TAG = "discovery.lineage"
"""SHA-256 of the document."""
JUDGED_TAG = "discovery.judged"
"""SHA-256 of the run's manifest after gate 2 passed, which covers its lists and gate reports."""


@dataclass(frozen=True)
class LineageCheck:
    """The lineage of a version, and why it cannot be trusted, if so."""

    lineage: Lineage | None
    faults: tuple[str, ...]


def check_lineage(registry: ModelRegistry, version: Version) -> LineageCheck:
    """Checks that the pipeline made the version: it has a finished MLflow run of ours with a matching lineage."""
    if version.mlflow_run is None:
        return LineageCheck(None, ("no MLflow run stands behind it: somebody registered it by hand",))
    logged = registry.logged(version.mlflow_run)
    if logged is None or not logged.finished:
        what = "is gone" if logged is None else "did not finish"
        return LineageCheck(None, (f"the MLflow run {version.mlflow_run} behind it {what}",))
    text = registry.lineage(version.mlflow_run)
    if text is None:
        return LineageCheck(None, (f"the MLflow run {version.mlflow_run} behind it holds no lineage.json",))
    try:
        lineage = Lineage.model_validate_json(text)
    except ValidationError as error:
        lacks = sorted({str(fault["loc"][0]) if fault["loc"] else "all" for fault in error.errors()})
        return LineageCheck(None, (f"its lineage.json lacks {', '.join(lacks)}",))
    return LineageCheck(lineage, tuple(_faults(version, logged.run_id, lineage, text)))


def _faults(version: Version, logged_run: str | None, lineage: Lineage, text: str) -> list[str]:
    wanted = lineage.tags | {LINEAGE_TAG: sha256_of(text)}
    faults = []
    if lacks := [name for name in wanted if name not in version.tags]:
        faults.append(f"it lacks the tags {', '.join(lacks)}")
    if other := [name for name, value in wanted.items() if version.tags.get(name, value) != value]:
        faults.append(f"its tags and its lineage.json differ: {', '.join(other)}")
    if logged_run != lineage.run_id or version.product != lineage.product:
        whose = logged_run or "no run of ours"
        faults.append(f"its MLflow run is of {whose}, its lineage.json of {lineage.product} {lineage.run_id}")
    if version.source != lineage.factors:
        faults.append(f"it names factors in {version.source}, and its run wrote them to {lineage.factors}")
    return faults


class NoLineage(Refused):
    """The registry holds no valid lineage for a run's factors."""
