"""The report of a run: made of its small files when it ends, in whatever way, and kept beside them.

It is no part of what digests bind: a stage binds JSON documents and tables, which later stages read, and nothing reads
the report. It is written anew whenever more is known, up to the counts of what serves, and can be made again of the
documents, which are bound. Its head has the digest of the manifest that it was made of.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from conf.digest import digest_of_json
from jobs.run.manifest import DIGEST, bound_folder, read_manifest, run_folder
from jobs.runtime.log import log, log_step
from jobs.storage.bound_folder import MANIFEST, BoundFolder, ChangedSince
from jobs.storage.gate_reports import CHAMPION_INTERACTIONS, DRIFT_GATES, GATES, report_file
from jobs.storage.store import Storage

if TYPE_CHECKING:
    from jobs.pages.report import RunDocuments
    from models.registry import ModelRegistry

REPORT = "report.html"
"""Name of the page in the run's folder, and of the artifact of its MLflow run."""
CARD_PART = "model_card/part.json"
"""Written by the stage train beside the pages of the model card: the card as a part of the report, and the weeks."""
INPUTS = "inputs.json"
"""Document of the stage features: what its tables are made of."""


def report_of(home: Storage, product: str, run_id: str) -> str:
    """Returns the page of a run, made of its documents now. Raises ChangedSince, FileNotFoundError."""
    from jobs.pages.report import report_page  # here, because a run that begins needs no template

    return report_page(documents_of(home, product, run_id))


def kept_report(home: Storage, product: str, run_id: str) -> tuple[str, bool]:
    """Returns the page of a run, the one in its folder unless the run went on since, and whether it is that one.

    Raises ChangedSince, FileNotFoundError.
    """
    return _kept(run_folder(home, product, run_id), documents_of(home, product, run_id))


def _kept(folder: Storage, run: "RunDocuments") -> tuple[str, bool]:
    from jobs.pages.report import digest_in, report_page

    with suppress(OSError, UnicodeDecodeError):
        page = folder.read_bytes(REPORT)
        if digest_in(page) == run.digest:
            return page.decode(), True
    return report_page(run), False


def write_report(home: Storage, product: str, run_id: str, registry: "ModelRegistry | None" = None) -> None:
    """Writes the page into the run's folder and, with a registry, beside the model; a fault is only a warning."""
    with _fault_as_warning(run_id, "could not be written"):
        from jobs.pages.report import report_page

        folder, run = run_folder(home, product, run_id), documents_of(home, product, run_id)
        page = report_page(run)
        folder.write_bytes(REPORT, page.encode())
        log_step("report", f"{folder.uri}/{REPORT}")
        if registry is not None:
            with _fault_as_warning(run_id, "is not in MLflow"):
                _log_page(run, page, registry)


def log_report(home: Storage, product: str, run_id: str, registry: "ModelRegistry") -> None:
    """Keeps the page of a run beside the model that it registered, if it did; a fault is only a warning."""
    with _fault_as_warning(run_id, "is not in MLflow"):
        run = documents_of(home, product, run_id)
        _log_page(run, _kept(run_folder(home, product, run_id), run)[0], registry)


def _log_page(run: "RunDocuments", page: str, registry: "ModelRegistry") -> None:
    model = run.fact("train", "model", "mlflow_run").text
    if model is not None:  # it came so far
        registry.log_page(model, REPORT, page)


@contextmanager
def _fault_as_warning(run_id: str, what: str) -> Iterator[None]:
    """Logs what is raised: what became of the run does not depend on its report."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - see above
        log.warning("warning   %s of run %s %s (%s: %s)", REPORT, run_id, what, type(error).__name__, error)


def documents_of(home: Storage, product: str, run_id: str) -> "RunDocuments":
    """Returns what the page is made of: small JSON files only. Raises ChangedSince, FileNotFoundError."""
    from jobs.pages.report import Known, RunDocuments

    folder = run_folder(home, product, run_id)
    manifest, is_sound = read_manifest(folder)
    tree, faults = _tree(folder), list[str]()
    if not is_sound:
        faults.append(f"{MANIFEST} was changed since the run wrote it")
    bound = bound_folder(home, manifest, remedy="restore that file as it was")
    files: dict[str, str] = {gate: report_file(gate) for gate in (*GATES, *DRIFT_GATES)}
    files["champion_interactions"] = CHAMPION_INTERACTIONS
    gates = {gate: Known(found) for gate, file in files.items() if (found := _read(bound, file, faults)) is not None}
    before, lists_before = _before(home, product, manifest.serving_before, faults)
    return RunDocuments(
        digest=digest_of_json(tree),
        manifest=Known(tree),
        gates=gates,
        card=Known(_read(bound, CARD_PART, faults)),
        inputs=Known(_read(bound, INPUTS, faults)),
        before=Known(before),
        lists_before=Known(lists_before),
        faults=tuple(faults),
    )


def _before(home: Storage, product: str, run_id: str | None, faults: list[str]) -> tuple[Any, Any]:
    """Returns the manifest of the run before and the report of its gate on lists; None where it is gone."""
    if run_id is None:
        return None, None
    folder = run_folder(home, product, run_id)
    if not folder.exists(MANIFEST):
        return None, None
    try:
        manifest, _ = read_manifest(folder)
    except ChangedSince as error:
        faults.append(str(error))
        return None, None
    return _tree(folder), _read(bound_folder(home, manifest, remedy="restore that file"), report_file("lists"), faults)


def _tree(folder: Storage) -> dict[str, Any]:
    """Returns a manifest as it is written, without its digest."""
    tree: dict[str, Any] = json.loads(folder.read_bytes(MANIFEST))
    return {name: value for name, value in tree.items() if name != DIGEST}


def _read(folder: BoundFolder, file: str, faults: list[str]) -> Any:
    """Returns a JSON document; None if it is not there, cannot be read, or was changed, which is noted."""
    try:
        return json.loads(folder.read_bytes(file)) if folder.exists(file) else None
    except (OSError, ValueError, ChangedSince) as error:
        faults.append(f"{file}: {error}")
        return None
