"""`manifest.json` of a run: what was asked, with which data, code and parameters it was made, and what came out."""

import datetime as dt
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from conf.recipe import completed
from jobs.champion import Champion
from jobs.storage import Storage

FILE = "manifest.json"


class Request(BaseModel):
    """What was asked for when the run was created; a resumed run must ask for the same."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    product: str
    as_of: dt.date
    config_hash: str
    share_bp: int
    first: bool
    publish_old: bool
    refresh: bool = False
    """Whether the factors of the run that serves stay."""
    overrides: dict[str, str]
    trigger_id: str | None
    """The scheduler's id; null: a person started it."""

    @property
    def scheduled(self) -> bool:
        """Whether a scheduler started the run."""
        return self.trigger_id is not None


class StageRecord(BaseModel):
    """One stage, as it went when it finished."""

    model_config = ConfigDict(frozen=True)

    finished_at: dt.datetime
    code_version: str
    seconds: float
    peak_bytes: dict[str, int]
    """Peak resident bytes while it ran: `jvm`, `driver` (Python), `workers` (Python, all together)."""
    facts: dict[str, Any]
    """Counts, metrics, fingerprints: what the stage wants remembered."""


class Manifest(BaseModel):
    """Everything that is known about a run."""

    model_config = ConfigDict(frozen=True)

    request: Request
    started_by: str
    created_at: dt.datetime
    code_version: str
    libraries: dict[str, str]
    epoch: int | None = None
    """Order of runs by the counter in Redis; null for a run that may not publish."""
    serving_before: str | None = None
    """Run that served when this one was created: the baseline of its gates."""
    champion: Champion | None = None
    """Its version, with the recipe that the run's own competes with; null: nothing served."""
    settings: dict[str, Any]
    stages: dict[str, StageRecord] = {}
    failure: str | None = None
    """What stopped the last attempt; null when nothing did."""

    @model_validator(mode="before")
    @classmethod
    def _of_older_code(cls, document: Any) -> Any:
        """Then a champion's recipe was used with the run's own columns, and could leave out nothing that it weighed."""
        champion = document.get("champion") if isinstance(document, dict) else None
        if not isinstance(champion, dict) or not champion.get("recipe"):
            return document
        recipe = completed({"ignored": {}, **champion["recipe"]}, document["settings"])
        return {**document, "champion": {**champion, "recipe": recipe}}

    def fact(self, stage: str, name: str) -> Any:
        """A fact of a finished stage; raises KeyError."""
        return self.stages[stage].facts[name]

    def with_stage(self, name: str, record: StageRecord) -> "Manifest":
        """This manifest with one more finished stage."""
        return self.model_copy(update={"stages": {**self.stages, name: record}, "failure": None})


def load_manifest(folder: Storage) -> Manifest | None:
    """The manifest in a run's folder, or None when it has none yet."""
    return Manifest.model_validate_json(folder.read_bytes(FILE)) if folder.exists(FILE) else None


def save_manifest(folder: Storage, manifest: Manifest) -> None:
    """Writes the manifest whole."""
    folder.write_bytes(FILE, manifest.model_dump_json(indent=2).encode())
