"""A study: its folder, its record, and the lock that lets one process at a time work on it."""

import fcntl
import importlib.metadata
import json
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import AwareDatetime

from conf.base import Strict
from conf.diff import differences
from conf.digest import sha256_of
from conf.environment import Environment
from conf.load import load_settings
from conf.settings import Settings
from features.reading.catalog import Catalog
from jobs.runtime.log import log_step
from jobs.runtime.versions import code_version, library_versions
from jobs.storage.datasets import open_catalog
from jobs.storage.erased import Erased
from jobs.storage.folders import check_folders
from jobs.storage.store import Storage
from jobs.tuning.arguments import TuningArguments
from jobs.tuning.errors import StudyConflict, StudyTaken
from jobs.tuning.parts import fingerprints_of, survey_parts
from models.registry import Trials
from models.tuning import Space
from models.tuning.space import factors_of
from publish.clock import utc_now

FILE, LOCK = "study.json", "lock"
_SHAPING = {"ids", "data_root", "datasets", "interactions", "split", "judge", "train", "lists"}
"""Sections of the settings that a study depends on."""
_SHOWN = 8
"""Differences listed in an error."""


class StudyRecord(Strict):
    """What a study was begun with; written once, before anything else."""

    study_id: str
    """Unique id, whatever name a later study has."""
    name: str
    created_at: AwareDatetime
    code_version: str
    libraries: dict[str, str]
    basis: dict[str, Any]
    """What every start must agree on: day, settings, sizes, and the fingerprints of the data by part and dataset."""


@dataclass(frozen=True)
class Study:
    """A study while a process works on it."""

    settings: Settings
    arguments: TuningArguments
    record: StudyRecord
    folder: Storage
    home: Storage
    """Below which the datasets lie."""
    erased: Erased
    """Users whose rows no trial may read, as of when this process began."""
    space: Space
    mlflow: Trials
    scratch: Path
    """A local folder that is deleted when this process ends."""


@contextmanager
def open_study(arguments: TuningArguments) -> Iterator[Study]:
    """Yields the study that the command line names, new or resumed. Raises StudyError and errors of servers."""
    settings, environment = load_settings(arguments.config, arguments.overlay or ()), Environment.read()
    most = factors_of(settings.train) if arguments.max_factors is None else arguments.max_factors
    space = Space.up_to(most, settings.train)
    home = Storage(environment.home)
    check_folders(home, settings)
    studies = home.child(f"tuning/{settings.product}")
    basis = _basis(settings, arguments, most, open_catalog(settings, home))
    mlflow = Trials(environment.need_mlflow())
    mlflow.check()
    erased = Erased.read(environment.need_kafka(), settings.product, settings.ids)
    name = arguments.study or _name(basis)
    folder = studies.child(name)
    with _locked(folder, name), _scratch() as scratch:
        record = _record(folder, name, basis)
        log_step("tune", f"study {name} of {settings.product}, as of {arguments.as_of}, in {folder.uri}")
        yield Study(settings, arguments, record, folder, home, erased, space, mlflow, scratch)


def _basis(settings: Settings, arguments: TuningArguments, most: int, catalog: Catalog) -> dict[str, Any]:
    surveys = survey_parts(settings, arguments.as_of, catalog)
    return {
        "as_of": arguments.as_of.isoformat(),
        "max_factors": most,
        "judged_users": arguments.judged_users,
        "settings": settings.model_dump(mode="json", include=_SHAPING),
        "data": {part: fingerprints_of(survey) for part, survey in surveys.items()},
    }


def _name(basis: dict[str, Any]) -> str:
    """Returns the day and a hash of all options and settings; other data under the same name are refused."""
    asked = json.dumps({name: value for name, value in basis.items() if name != "data"}, sort_keys=True)
    return f"{basis['as_of']}-{sha256_of(asked)[:8]}"


def _record(folder: Storage, name: str, basis: dict[str, Any]) -> StudyRecord:
    """Returns the record of the study, a new one if the study is new. Raises StudyConflict."""
    if folder.exists(FILE):
        known = StudyRecord.model_validate_json(folder.read_bytes(FILE))
        _refuse_other(known, basis)
        return known
    record = StudyRecord(
        study_id=uuid.uuid4().hex,
        name=name,
        created_at=utc_now(),
        code_version=code_version(),
        libraries={**library_versions(), "optuna": importlib.metadata.version("optuna")},
        basis=basis,
    )
    folder.write_bytes(FILE, record.model_dump_json(indent=1).encode())
    return record


def _refuse_other(known: StudyRecord, basis: dict[str, Any]) -> None:
    found = differences(known.basis, basis)
    if found:
        changed = [f"{name} was {there} and is {here}" for name, (there, here) in [*found.items()][:_SHOWN]]
        more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise StudyConflict(
            f"study {known.name} was begun with something else: {'; '.join(changed)}{more}; its trials cannot be "
            "compared with new ones: use another name with --study"
        )


@contextmanager
def _locked(folder: Storage, name: str) -> Iterator[None]:
    """Holds the study's lock, which the system frees however the process ends. Raises StudyTaken.

    An object store has no such lock: there the user must make sure that one process works on a study.
    """
    if folder.local_path is None:
        yield
        return
    folder.local_path.mkdir(parents=True, exist_ok=True)
    with (folder.local_path / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StudyTaken(
                f"another process works on study {name} in {folder.uri}; wait for it, or use another name with --study"
            ) from None
        yield


@contextmanager
def _scratch() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="discovery-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
