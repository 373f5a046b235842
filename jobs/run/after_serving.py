"""What follows when a run serves: it is noted in the manifest and in MLflow's aliases, and old run folders go."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager

from conf.errors import DiscoveryError
from conf.experiment import CONTROL_SUFFIX
from conf.settings import Settings
from conf.shadow import SHADOW
from jobs.run.manifest import StageRecord, kept_runs, load_manifest, run_folder, save_manifest
from jobs.run.report import log_report, write_report
from jobs.runtime.log import log, log_step
from jobs.runtime.versions import code_version
from jobs.storage.store import Storage
from models.registry import ModelRegistry
from publish.clock import utc_now
from publish.operate.control import Control
from publish.runs.pointer import Pointer

SERVE = "serve"
"""Name of the last stage in the manifest."""


def serve_facts(control: Control, run: str) -> dict[str, object]:
    """Returns for the manifest: counts of lists loaded and of lists read back as announced, share and revision."""
    announced = control.registry.get(run).announcement
    partitions = control.lifecycle.store.progress(announced)
    pointer = control.pointers.read()
    counts = {
        "loaded": sum(part.loaded for part in partitions),
        "readable": sum(part.count for part in partitions if part.is_verified),
    }
    return {"counts": counts, "share_bp": int(pointer.share_bp), "revision": pointer.rev}


def note_serving(settings: Settings, home: Storage, control: Control, registry: ModelRegistry, run: str) -> None:
    """Sets MLflow's aliases to what serves, keeps the report there, and deletes old run folders.

    An error is only logged.
    """
    with errors_as_warnings(run):
        _name_models(settings.product, control.pointers.read(), registry)
        _log_reports(settings.product, home, registry, run)
        _delete_old_runs(settings, home, control)


def note_in_manifest(settings: Settings, home: Storage, control: Control, run: str) -> None:
    """Adds the last stage to the manifests of a run and its control when `discovery wait` has waited.

    The job adds it itself.
    """
    folder = run_folder(home, settings.product, run)
    with errors_as_warnings(run):
        announced = control.registry.find_announcement(run)
        if announced is not None and announced.control is not None:
            note_in_manifest(settings, home, control, announced.control)
        manifest = load_manifest(folder)
        if manifest is None or "publish" not in manifest.stages or SERVE in manifest.stages:
            return
        record = StageRecord(
            finished_at=utc_now(),
            code_version=code_version(),
            seconds=0.0,
            peak_bytes={},
            facts=serve_facts(control, run),
        )
        save_manifest(folder, manifest.with_stage(SERVE, record))
        write_report(home, settings.product, run)


@contextmanager
def errors_as_warnings(run: str) -> Iterator[None]:
    """Logs errors of the block as a warning: serving does not depend on what is noted about it."""
    try:
        yield
    except (DiscoveryError, OSError) as error:
        log.warning("warning   run %s serves, but that could not be noted everywhere: %s", run, error)


def _name_models(product: str, pointer: Pointer, registry: ModelRegistry) -> None:
    """Sets the aliases: the champion is what serves, `previous` what the pointer would roll back to."""
    runs = (pointer.treatment, pointer.previous)
    registry.name_serving(product, *(None if run is None else registry.version_of(product, run) for run in runs))


def _log_reports(product: str, home: Storage, registry: ModelRegistry, run: str) -> None:
    """Keeps the reports of a run and its control in MLflow; the job does so itself when its last stage has ended."""
    for name in (run, f"{run}{CONTROL_SUFFIX}"):
        manifest = load_manifest(run_folder(home, product, name))
        if manifest is not None and SERVE in manifest.stages:
            log_report(home, product, name, registry)


def _trained_by(settings: Settings, home: Storage, run: str) -> str | None:
    """Returns the run whose factors a refresh uses, which the next training starts from; None for another run."""
    manifest = load_manifest(run_folder(home, settings.product, run))
    if manifest is None or not manifest.request.refresh or "train" not in manifest.stages:
        return None
    return str(manifest.fact("train", "training")["from_run"])


def _delete_old_runs(settings: Settings, home: Storage, control: Control) -> None:
    """Keeps the `runs.keep_runs` newest folders, those of runs with lists in Redis, and those they start from.

    A run and its control count as one.

    Keeps those with shadow lists, too, while outcomes of days on which they served are still measured.
    """
    folders = {name: name.removesuffix(CONTROL_SUFFIX) for name in kept_runs(home, settings.product)}
    known = control.registry.read_all()
    needed = {run.name for run in known.runs if run.status.cleared is None} | {run.name for run in known.unreadable}
    needed |= {trained for name in [*needed] if (trained := _trained_by(settings, home, name)) is not None}
    days = settings.outcomes.keep_current_days + settings.outcomes.horizon_days
    measured = control.served_since(utc_now() - dt.timedelta(days=days))
    kept = sorted({*folders.values()})[-settings.runs.keep_runs :]
    for name in sorted(name for name, run in folders.items() if run not in kept):
        has_shadow = name in measured and run_folder(home, settings.product, name).finished(SHADOW)
        if name not in needed and not has_shadow:
            home.delete(f"runs/{settings.product}/{name}")
            log_step("runs", f"deleted the folder of run {name}")
