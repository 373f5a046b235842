"""Records that go into the registry and come out of it."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

RUN_TAG = "discovery.run_id"
"""Tag of an MLflow run and of a version: the id of our run."""

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
"""Aliases: the version that serves, the newest that has not served, and the one to roll back to."""

MODEL_CARD = "model_card"
"""Folder with the pages of a version, in its MLflow run and in the folder of our run."""

CARD_FOLDERS = (MODEL_CARD, "passport")
"""Where the pages of a version may be: the second is that of older versions."""


@dataclass(frozen=True)
class RunInput:
    """One dataset that a run read: its name, the fingerprint of what was read, and its URI."""

    name: str
    digest: str
    source: str


@dataclass(frozen=True)
class RunRecord:
    """What is logged of a run: its code version, its lineage as JSON, parameters, metrics, inputs."""

    product: str
    run_id: str
    code_version: str
    lineage: str
    params: Mapping[str, str | int | float]
    metrics: Mapping[str, float]
    inputs: Sequence[RunInput] = ()
    artifacts: Path | None = None
    """Folder of files to log with the run."""


@dataclass(frozen=True)
class LoggedRun:
    """What MLflow holds of a run: our run id, whether logging finished, parameters as text, metrics."""

    run_id: str | None
    finished: bool
    params: Mapping[str, str]
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Version:
    """One version of a product's model."""

    product: str
    number: str
    created_at: dt.datetime
    source: str
    """URI of the folder that holds the factors."""
    mlflow_run: str | None
    """None if somebody registered the version by hand, without a run."""
    tags: Mapping[str, str]
    aliases: tuple[str, ...]
    """Aliases in MLflow: a copy, made when a run begins to serve."""

    @property
    def run_id(self) -> str | None:
        """Our run that made it; None when the pipeline did not."""
        return self.tags.get(RUN_TAG)
