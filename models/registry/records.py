"""What goes into the registry and what comes out of it."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

RUN_TAG = "discovery.run_id"
"""Tag of an MLflow run and of a version: our run that made it."""

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
"""Aliases: the version that serves, the newest that has not served, the one to go back to."""

MODEL_CARD = "model_card"
"""Folder of a version's pages, below its MLflow run and in the folder of our run."""

MODEL_CARD_BEFORE = "passport"
"""The same of versions that were registered before it had this name."""


@dataclass(frozen=True)
class RunInput:
    """One dataset that a run read: its name, the fingerprint of what was read, and where it lies."""

    name: str
    digest: str
    source: str


@dataclass(frozen=True)
class RunRecord:
    """What is known of a run: the code's version, its whole lineage as text, parameters, metrics, inputs."""

    product: str
    run_id: str
    code_version: str
    lineage: str
    params: Mapping[str, str | int | float]
    metrics: Mapping[str, float]
    inputs: Sequence[RunInput] = ()
    artifacts: Path | None = None
    """Folder of files to keep with the run."""


@dataclass(frozen=True)
class LoggedRun:
    """What MLflow holds of a run: whose it is, whether it was logged to its end, parameters as text, metrics."""

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
    """None: registered by hand, without a run."""
    tags: Mapping[str, str]
    aliases: tuple[str, ...]
    """As MLflow knows them: a copy, made when something begins to serve."""

    @property
    def run_id(self) -> str | None:
        """Our run that made it; None when the pipeline did not."""
        return self.tags.get(RUN_TAG)
