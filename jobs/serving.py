"""What follows when a run serves: its manifest says so, its model version is the champion, old run folders go."""

import datetime as dt

from conf.errors import DiscoveryError
from conf.settings import Settings
from jobs.code_version import code_version
from jobs.log import log, tell
from jobs.manifest import Manifest, StageRecord, load_manifest, save_manifest
from jobs.run import run_folder
from jobs.run_id import RunId
from jobs.storage import Storage
from models.registry import Registry
from publish.control import Control
from publish.redis_store import Status

SERVE = "serve"
"""Name of the last stage in the manifest."""


def serve_facts(control: Control, run: str) -> dict[str, object]:
    """For the manifest: lists loaded, lists that were read back equal to what was announced, and the pointer."""
    announced = control.registry.get(run).announcement
    partitions = control.desk.store.progress(announced)
    pointer = control.pointers.read()
    counts = {
        "loaded": sum(part.loaded for part in partitions),
        "readable": sum(part.count for part in partitions if part.state == Status.VERIFIED),
    }
    return {"counts": counts, "share_bp": pointer.share_bp, "revision": pointer.rev}


def note_serving(settings: Settings, home: Storage, control: Control, registry: Registry, run: str) -> None:
    """Notes that a run serves wherever that is known; a fault in it is told and changes nothing about serving."""
    folder = run_folder(home, settings.product, run)
    try:
        manifest = load_manifest(folder)
        if manifest is not None:
            _note_in_manifest(folder, manifest, control, run)
            _make_champion(settings, manifest, registry)
        _delete_old_runs(settings, home, control)
    except (DiscoveryError, OSError) as error:
        log.warning("warning   run %s serves, but that could not be noted everywhere: %s", run, error)


def _note_in_manifest(folder: Storage, manifest: Manifest, control: Control, run: str) -> None:
    """For a run whose last stage is `discovery wait`; the job writes the record itself."""
    if "publish" in manifest.stages and SERVE not in manifest.stages:
        record = StageRecord(
            finished_at=dt.datetime.now(dt.UTC),
            code_version=code_version(),
            seconds=0.0,
            peak_bytes={},
            facts=serve_facts(control, run),
        )
        save_manifest(folder, manifest.with_stage(SERVE, record))


def _make_champion(settings: Settings, manifest: Manifest, registry: Registry) -> None:
    if "train" in manifest.stages:
        registry.promote_alias(settings.product, manifest.fact("train", "model")["version"])


def _delete_old_runs(settings: Settings, home: Storage, control: Control) -> None:
    """Keeps `runs.keep_runs` newest folders, and whatever the pointer names or Redis still holds lists of."""
    folders = [info.base_name for info in home.files(f"runs/{settings.product}") if RunId.find(info.base_name)]
    needed = {report.run.name for report in control.runs() if report.run.status.cleared is None}
    for name in sorted(folders)[: -settings.runs.keep_runs]:
        if name not in needed:
            home.delete(f"runs/{settings.product}/{name}")
            tell("runs", f"deleted the folder of run {name}")
