"""What follows when a run serves: its model version is the champion, its manifest says so, old run folders go."""

from conf.errors import ConfigError
from conf.settings import Settings
from jobs.log import tell
from jobs.manifest import load_manifest
from jobs.run import run_folder
from jobs.run_id import RunId
from jobs.storage import Storage
from models.registry import Registry
from publish.control import Control


def note_serving(settings: Settings, home: Storage, control: Control, registry: Registry, run: str) -> None:
    """Points the champion alias at the run's model version and deletes run folders that nothing needs."""
    manifest = load_manifest(run_folder(home, settings.product, run))
    if manifest is not None and "train" in manifest.stages:
        version = manifest.fact("train", "model")["version"]
        registry.promote_alias(settings.product, version)
    _delete_old_runs(settings, home, control)


def _delete_old_runs(settings: Settings, home: Storage, control: Control) -> None:
    """Keeps `runs.keep_runs` newest folders, and whatever the pointer names or Redis still holds lists of."""
    folders = [info.base_name for info in home.files(f"runs/{settings.product}") if _is_run(info.base_name)]
    needed = {report.run.name for report in control.runs() if report.run.status.cleared is None}
    for name in sorted(folders)[: -settings.runs.keep_runs]:
        if name not in needed:
            home.delete(f"runs/{settings.product}/{name}")
            tell("runs", f"deleted the folder of run {name}")


def _is_run(name: str) -> bool:
    try:
        RunId.parse(name)
    except ConfigError:
        return False
    return True
