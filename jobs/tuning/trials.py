"""Runs the trials of a study one after the other; each is stored and logged before the next begins."""

from dataclasses import dataclass

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from jobs.runtime.log import log_step
from jobs.tuning.study import Study
from models.registry import StudyRun, TrialRecord
from models.tuning import FAILED, Part, Search, Trial, best_of, open_search

JOURNAL = "optuna.journal"
"""Optuna's own journal, stored after each trial: an unfinished trial of a killed process is never in it."""


def run_trials(study: Study, part: Part) -> list[Trial]:
    """Runs the trials that are missing. Returns all trials of the study."""
    local = study.scratch / JOURNAL
    if study.folder.exists(JOURNAL):
        local.write_bytes(study.folder.read_bytes(JOURNAL))
    storage = JournalStorage(JournalFileBackend(str(local)))
    search = open_search(storage, study.record.name, study.space, part)
    _log_missing(study, search)
    wanted, done = study.arguments.trials, len(search.trials)
    if done:
        log_step("tune", f"{done} trials were made by earlier starts; {max(0, wanted - done)} are missing of {wanted}")
    while len(search.trials) < wanted:
        trial = search.run()
        study.folder.write_bytes(JOURNAL, local.read_bytes())
        study.mlflow.log_trial(parent_of(study), _record(trial, part.k))
        log_step("tune", TuningProgress(search.trials, wanted, part.k).line)
    return search.trials


def parent_of(study: Study) -> str:
    """Returns the MLflow run of the study, creating it if it does not exist."""
    basis = study.record.basis
    return study.mlflow.open_study(
        StudyRun(
            product=study.settings.product,
            name=study.record.name,
            study_id=study.record.study_id,
            code_version=study.record.code_version,
            params={
                "as_of": basis["as_of"],
                "max_factors": basis["max_factors"],
                "judged_users": basis["judged_users"],
                **{f"present.{name}": value for name, value in study.space.params_of(study.space.present).items()},
            },
        )
    )


def _log_missing(study: Study, search: Search) -> None:
    """Logs the trials that were stored but not logged when an earlier start ended."""
    parent = parent_of(study)
    logged = study.mlflow.logged(parent)
    for trial in search.trials:
        if trial.number not in logged:
            study.mlflow.log_trial(parent, _record(trial, search.part.k))


def _record(trial: Trial, k: int) -> TrialRecord:
    figures = {f"ndcg_at_{k}": trial.ndcg, f"recall_at_{k}": trial.recall, "seconds": trial.seconds}
    return TrialRecord(
        number=trial.number,
        state=trial.state,
        is_failed=trial.state == FAILED,
        params=trial.params,
        metrics={name: value for name, value in figures.items() if value is not None},
        curve=trial.curve,
    )


@dataclass(frozen=True)
class TuningProgress:
    """The progress of a study after its newest trial."""

    trials: list[Trial]
    wanted: int
    k: int

    @property
    def line(self) -> str:
        """The newest trial, the best so far and its change against the present settings, seconds and the time left."""
        newest, best = self.trials[-1], best_of(self.trials)
        return (
            f"trial {newest.number}/{self.wanted} {newest.state} · {self._figure} · best {best.ndcg:.4f} in trial "
            f"{best.number}{self._change} · {newest.seconds:.1f} s, {self._left}"
        )

    @property
    def _figure(self) -> str:
        newest = self.trials[-1]
        if newest.ndcg is not None:
            return f"NDCG@{self.k} {newest.ndcg:.4f}"
        if newest.fault is not None:
            return newest.fault
        return f"{max(newest.curve.values()):.4f} at best after {len(newest.curve)} iterations"

    @property
    def _change(self) -> str:
        best, present = best_of(self.trials).ndcg, self.trials[0].ndcg
        return f", {best / present - 1:+.1%} on the present settings" if best and present else ""

    @property
    def _left(self) -> str:
        mean = sum(trial.seconds for trial in self.trials) / len(self.trials)
        seconds = mean * (self.wanted - len(self.trials))
        return f"{seconds / 60:.0f} min left" if seconds >= 120 else f"{seconds:.0f} s left"
