"""Studies in MLflow, on a real SQLite store."""

from dataclasses import replace
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from models.errors import RegistryError
from models.registry import StudyRun, TrialRecord, Trials

STUDY = StudyRun("groups", "2026-11-16-abc", "f00d", "abc123", {"max_factors": 64})
TRIAL = TrialRecord(2, "complete", False, {"alpha": 0.5}, {"ndcg_at_20": 0.25, "seconds": 3.0}, {1: 0.1, 2: 0.2})


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> Trials:
    return Trials(f"sqlite:///{tmp_path_factory.mktemp('trials')}/mlflow.db")


def _fail(*_: object, **__: object) -> None:
    raise OSError("disk full")


def test_a_study_and_its_trials_are_logged_once(trials: Trials) -> None:
    parent = trials.open_study(STUDY)
    assert trials.open_study(STUDY) == parent
    assert trials.open_study(replace(STUDY, study_id="beef")) != parent  # the same name, begun anew
    assert trials.logged(parent) == set()
    for _ in range(2):
        trials.log_trial(parent, TRIAL)
    failed = replace(TRIAL, number=3, state="failed", is_failed=True, metrics={}, curve={})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MlflowClient, "log_batch", _fail)
        with pytest.raises(RegistryError, match=r"log trial 3.*disk full"):
            trials.log_trial(parent, failed)
    assert trials.logged(parent) == {2}
    trials.log_trial(parent, failed)  # what was left half is completed
    assert trials.logged(parent) == {2, 3}

    client = MlflowClient(trials.tracking_uri)
    experiment = client.get_experiment_by_name("groups-tuning")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], f"tags.`mlflow.parentRunId` = '{parent}'")
    assert {run.data.tags["discovery.state"]: run.info.status for run in runs} == {
        "complete": "FINISHED",
        "failed": "FAILED",
    }
    (complete,) = (run for run in runs if run.info.status == "FINISHED")
    assert complete.data.params == {"alpha": "0.5"}
    assert complete.data.metrics["ndcg_at_20"] == 0.25
    curve = client.get_metric_history(complete.info.run_id, "watched_ndcg")
    assert sorted((point.step, point.value) for point in curve) == [(1, 0.1), (2, 0.2)]


def test_a_study_that_goes_on_is_closed_again(trials: Trials, tmp_path: Path) -> None:
    parent = trials.open_study(replace(STUDY, study_id="cafe"))
    (tmp_path / "proposal").mkdir()
    for number, text in ((2, "keep"), (4, "change")):
        (tmp_path / "proposal" / "proposal.md").write_text(text)
        trials.close_study(parent, {"trials": number}, tmp_path / "proposal")
    run = MlflowClient(trials.tracking_uri).get_run(parent)
    assert (run.info.status, run.data.metrics["trials"]) == ("FINISHED", 4)
    page = MlflowClient(trials.tracking_uri).download_artifacts(parent, "proposal.md", str(tmp_path))
    assert Path(page).read_text() == "change"
