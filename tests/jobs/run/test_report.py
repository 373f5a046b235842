"""How the report of a run is read from its folder and kept there: small files only, and no fault of it stops a run."""

import json
from pathlib import Path
from typing import Any

import pytest

from jobs.pages.report import digest_in
from jobs.run.context import Run
from jobs.run.manifest import save_manifest
from jobs.run.report import INPUTS, REPORT, documents_of, kept_report, log_report, report_of, write_report
from jobs.storage.store import Storage
from models.registry import ModelRegistry
from tests.jobs.lineages import register, run_of
from tests.jobs.pages.report.documents import expectation, gate
from tests.jobs.runs import RUN_ID, finish, run_in

EARLIER = "20261109T030000Z-20261109-1"


def begun(home: Path, **changes: Any) -> Run:
    """A run whose first stage wrote the report of a gate and a table that nobody may read."""
    run, _ = run_in(home, **changes)
    save_manifest(run.folder, run.manifest)
    run.begin_stage("features")
    run.folder.write_bytes("gate_interactions.json", json.dumps(gate("interactions", expectation("min_rows"))).encode())
    (home / "runs/test" / RUN_ID / "interactions").mkdir()
    (home / "runs/test" / RUN_ID / "interactions/part-0.parquet").write_bytes(b"no table")
    return run


def test_it_is_made_of_small_files_that_are_unchanged(tmp_path: Path) -> None:
    run = begun(tmp_path)
    finish(run, "features", rows={"interactions": 9})
    found = documents_of(run.home, "test", RUN_ID)
    assert found.gates.keys() == {"interactions"}
    assert found.fact("features", "rows", "interactions").count == 9
    assert found.faults == ()
    file = tmp_path / "runs/test" / RUN_ID / "gate_interactions.json"
    file.write_text(file.read_text().replace("at most 9", "at most 99"))
    changed = documents_of(run.home, "test", RUN_ID)
    assert changed.gates == {}
    (fault,) = changed.faults
    assert "was changed since stage features left it" in fault
    assert "was changed since stage features left it" in report_of(run.home, "test", RUN_ID)


def test_what_an_unfinished_stage_left_is_read_too(tmp_path: Path) -> None:
    run = begun(tmp_path)
    record = {"name": "clicks", "start": "2026-11-13", "end": "2026-11-16", "days": [], "missing": ["2026-11-14"]}
    run.folder.write_bytes(INPUTS, json.dumps({"inputs": [record]}).encode())
    page = report_of(run.home, "test", RUN_ID)
    assert "1 day missing: 2026-11-14" in page
    assert "As far as it was counted before the run ended." in page
    run.folder.write_bytes(INPUTS, b"{ half")
    assert f"{INPUTS}: " in report_of(run.home, "test", RUN_ID)


def test_a_manifest_that_was_changed_says_so(tmp_path: Path) -> None:
    run = begun(tmp_path)
    file = tmp_path / "runs/test" / RUN_ID / "manifest.json"
    file.write_text(file.read_text().replace("me@here", "you@here"))
    assert "manifest.json was changed since the run wrote it" in report_of(run.home, "test", RUN_ID)


def test_the_run_before_is_compared_while_it_is_there(tmp_path: Path) -> None:
    run = begun(tmp_path, serving_before=EARLIER)
    assert "its folder is gone, or cannot be read" in report_of(run.home, "test", RUN_ID)
    folder = tmp_path / "runs/test" / EARLIER
    earlier = run.manifest.model_copy(update={"request": run.manifest.request.model_copy(update={"run_id": EARLIER})})
    save_manifest(Storage(str(folder)), earlier)
    assert f"Run {EARLIER}, as of 2026-11-16, served when this one began." in report_of(run.home, "test", RUN_ID)
    (folder / "manifest.json").write_text("{ half")
    page = report_of(run.home, "test", RUN_ID)
    assert "is no JSON object" in page
    assert "its folder is gone, or cannot be read" in page


def test_the_page_in_the_folder_is_shown_until_the_run_goes_on(tmp_path: Path) -> None:
    run = begun(tmp_path)
    page, is_kept = kept_report(run.home, "test", RUN_ID)
    assert not is_kept
    write_report(run.home, "test", RUN_ID)
    assert kept_report(run.home, "test", RUN_ID) == (page, True)
    assert digest_in(page.encode()) == documents_of(run.home, "test", RUN_ID).digest
    assert "report.html" not in run.folder.made()
    finish(run, "features")
    later, is_kept = kept_report(run.home, "test", RUN_ID)
    assert not is_kept
    assert "Unfinished: stage train has not ended yet" in later
    run.folder.write_bytes(REPORT, b"\xff no page")
    assert kept_report(run.home, "test", RUN_ID) == (later, False)


def test_a_report_that_cannot_be_written_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run, _ = run_in(tmp_path)
    write_report(run.home, "test", RUN_ID)  # there is no manifest
    assert "report.html of run 20261116T030000Z-20261116-1 could not be written" in caplog.text
    save_manifest(run.folder, run.manifest)
    (tmp_path / "runs/test" / RUN_ID / REPORT).mkdir()
    write_report(run.home, "test", RUN_ID)
    assert caplog.text.count("could not be written") == 2


def test_it_is_kept_beside_the_model(tmp_path: Path, model_store: str) -> None:
    from mlflow.tracking import MlflowClient

    registry, product = ModelRegistry(model_store), "report_beside_model"
    run = run_of(registry, tmp_path, product=product)
    register(run)
    save_manifest(run.folder, run.manifest)
    write_report(run.home, product, RUN_ID, registry)
    model = run.manifest.fact("train", "model")["mlflow_run"]
    kept = Path(MlflowClient(model_store).download_artifacts(model, REPORT, str(tmp_path)))
    assert kept.read_bytes() == run.folder.read_bytes(REPORT)


def test_a_registry_that_is_down_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = begun(tmp_path)
    finish(run, "train", model={"mlflow_run": "c0ffee"})
    log_report(run.home, "test", RUN_ID, ModelRegistry("http://127.0.0.1:9"))
    assert "report.html of run 20261116T030000Z-20261116-1 is not in MLflow (RegistryError" in caplog.text
