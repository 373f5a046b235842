"""`manifest.json` of a run: the request, the data, code and parameters that made it, and the results."""

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from conf.digest import digest_of_json
from conf.errors import Refused
from conf.experiment import RunPart
from conf.recipe import completed
from conf.run_flags import RunFlags
from conf.share import Share
from expectations.drift.findings import Excluded
from jobs.run.run_id import RunId
from jobs.storage.bound_folder import MANIFEST, BoundFolder, ChangedSince, StageOutput
from jobs.storage.store import Storage
from models.champion import Champion

DIGEST = "sha256"
"""Key of the digest over all other keys of the file."""
_REMEDY = "restore that file as it was, or start a new run"
RESTORE = "restore that folder from a copy"
"""Advice for the error if an earlier run's folder changed."""

_JUDGED = ("features", "train", "topn")
"""The stages whose records are final when gate 2 has passed."""


class NoRun(Refused):
    """There is no such run in the work folder, or nothing of it that was asked for."""


class Request(RunFlags):
    """The request when the run was created; resuming a run needs an equal one."""

    run_id: str
    product: str
    as_of: dt.date
    config_hash: str
    share_bp: Share
    first: bool  # no defaults for these three: the digest `judged` always included them
    publish_old: bool
    overrides: dict[str, str]
    trigger_id: str | None
    """The scheduler's id; None: a person started it."""

    @property
    def scheduled(self) -> bool:
        """Whether a scheduler started the run."""
        return self.trigger_id is not None


class StageRecord(BaseModel):
    """The record of a finished stage."""

    model_config = ConfigDict(frozen=True)

    finished_at: dt.datetime
    code_version: str
    seconds: float
    peak_bytes: dict[str, int]
    """Peak resident bytes while it ran: `jvm`, `driver` (Python), `workers` (Python, all together)."""
    facts: dict[str, Any]
    """Counts, metrics and fingerprints that the stage recorded."""
    core_seconds: dict[str, float] = {}
    """Processor time of the same processes, on the driver's machine; {} by older code."""
    shuffle_bytes: int | None = None
    """What Spark wrote for shuffles, compressed; None without a session, and by older code."""
    made: dict[str, str] = {}
    """Name → SHA-256 of every table and file that it wrote into the run's folder."""


class Manifest(BaseModel):
    """Everything that is recorded about a run."""

    model_config = ConfigDict(frozen=True)

    request: Request
    started_by: str
    created_at: dt.datetime
    code_version: str
    libraries: dict[str, str]
    epoch: int | None = None
    """Order of runs by the counter in Redis; None for a run that may not publish."""
    serving_before: str | None = None
    """The run that served when this one was created: the baseline of its gates."""
    champion: Champion | None = None
    """Version and recipe of that run, with which this run's recipe competes; None: nothing served."""
    experiment: RunPart | None = None
    """The run's part in an experiment, which pins its recipe; None outside of one."""
    settings: dict[str, Any]
    stages: dict[str, StageRecord] = {}
    failure: str | None = None
    """What stopped the last attempt; None when nothing did."""
    bound: bool = False
    """Whether stages record digests of what they wrote; older code did not."""

    @property
    def judged(self) -> str:
        """SHA-256 of the request and the stages up to gate 2; failures of attempts do not change it."""
        records = {name: record for name, record in self.stages.items() if name in _JUDGED}
        known = self.model_copy(update={"stages": records, "failure": None})
        # Newer code that resumes the run adds fields with defaults and completes the champion's recipe.
        return digest_of_json(json.loads(known.model_dump_json(exclude_defaults=True, exclude={"champion"})))

    @property
    def excluded(self) -> tuple[Excluded, ...] | None:
        """Days of datasets that the run's features leave out; None while they are not made.

        None are left out by a run from before days could be excluded.
        """
        features = self.stages.get("features")
        if features is None:
            return None
        return tuple(Excluded.model_validate(one) for one in features.facts.get("excluded", []))

    @model_validator(mode="before")
    @classmethod
    def _of_older_code(cls, document: Any) -> Any:
        """Completes the champion's recipe of an older manifest, whose recipes had no columns or ignored events."""
        champion = document.get("champion") if isinstance(document, dict) else None
        if not isinstance(champion, dict) or not champion.get("recipe"):
            return document
        recipe = completed({"ignored": {}, **champion["recipe"]}, document["settings"])
        return {**document, "champion": {**champion, "recipe": recipe}}

    def fact(self, stage: str, name: str) -> Any:
        """Returns a fact of a finished stage. Raises KeyError."""
        return self.stages[stage].facts[name]

    def with_stage(self, name: str, record: StageRecord) -> "Manifest":
        """Returns a copy with one more finished stage."""
        return self.model_copy(update={"stages": {**self.stages, name: record}, "failure": None})


@dataclass(frozen=True)
class KeptRun:
    """A run whose folder is kept; what is read from it is checked."""

    manifest: Manifest
    folder: BoundFolder


def find_run(home: Storage, product: str, run_id: str, *, remedy: str = RESTORE) -> KeptRun | None:
    """Returns a run by its id; None if its folder is gone. Raises ChangedSince, as does reading what changed."""
    manifest = load_manifest(run_folder(home, product, run_id))
    return None if manifest is None else KeptRun(manifest, bound_folder(home, manifest, remedy=remedy))


def kept_runs(home: Storage, product: str) -> dict[str, RunId]:
    """Returns the runs of a product that have a folder, by its name, the oldest first."""
    names = (info.base_name for info in home.files(f"runs/{product}"))
    return {name: run for name in names if (run := RunId.find(name)) is not None}


def run_folder(home: Storage, product: str, run_id: str) -> Storage:
    """Returns the folder of a run."""
    return home.child(f"runs/{product}/{run_id}")


def bound_folder(home: Storage, manifest: Manifest, *, remedy: str) -> BoundFolder:
    """Returns a run's folder that checks digests when it is read; remedy: advice for the error if one changed."""
    run, outputs = manifest.request, dict[str, StageOutput]()
    for stage, record in manifest.stages.items():
        outputs |= {name: StageOutput(stage, sha256) for name, sha256 in record.made.items()}
    folder = run_folder(home, run.product, run.run_id)
    return BoundFolder(folder.uri, run.run_id, outputs if manifest.bound else None, remedy=remedy)


def load_manifest(folder: Storage) -> Manifest | None:
    """Returns the manifest in a run's folder; None if there is none yet. Raises ChangedSince."""
    if not folder.exists(MANIFEST):
        return None
    manifest, is_sound = read_manifest(folder)
    if not is_sound:
        raise ChangedSince(f"{folder.uri}/{MANIFEST} was changed since the run wrote it; {_REMEDY}")
    return manifest


def read_manifest(folder: Storage) -> tuple[Manifest, bool]:
    """Returns the manifest in a run's folder, and whether it is unchanged.

    Raises ChangedSince, FileNotFoundError.
    """
    where = f"{folder.uri}/{MANIFEST}"
    try:
        tree = json.loads(folder.read_bytes(MANIFEST))
        sha256 = tree.pop(DIGEST, None)
    except (ValueError, AttributeError, TypeError) as error:
        raise ChangedSince(f"{where} is no JSON object ({error}): it was changed or damaged; {_REMEDY}") from None
    is_sound = sha256 == digest_of_json(tree)
    try:
        manifest = Manifest.model_validate(tree)
    except ValidationError as error:
        first = error.errors()[0]
        what = "was written by other code" if is_sound else "was changed since the run wrote it"
        raise ChangedSince(f"{where} {what} ({'.'.join(map(str, first['loc']))}: {first['msg']}); {_REMEDY}") from None
    return manifest, is_sound or (sha256 is None and not manifest.bound)


def save_manifest(folder: Storage, manifest: Manifest) -> None:
    """Writes the manifest as a whole, with the digest of its content."""
    tree: Mapping[str, Any] = json.loads(manifest.model_dump_json())
    whole = json.dumps({**tree, DIGEST: digest_of_json(tree)}, indent=2, ensure_ascii=False)
    folder.write_bytes(MANIFEST, whole.encode())
