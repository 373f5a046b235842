"""A search finds what is better, and is the same however often it is interrupted."""

import shutil
from pathlib import Path

import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from conf.training import AlsSettings
from models.errors import TrainError, TrainMemoryError
from models.tuning import FAILED, Part, Search, Space, Trial, best_of, open_search
from models.tuning.search import PRUNED
from tests.models.tuning.conftest import PRESENT


def search_in(folder: Path, part: Part, present: AlsSettings = PRESENT, most: int = 16) -> Search:
    storage = JournalStorage(JournalFileBackend(str(folder / "journal")))
    return open_search(storage, "one", Space.up_to(most, present), part)


def without_seconds(trials: list[Trial]) -> list[tuple[object, ...]]:
    return [(trial.number, trial.state, trial.params, trial.ndcg, trial.curve) for trial in trials]


def test_interruptions_change_nothing(part: Part, tmp_path: Path) -> None:
    whole = search_in(tmp_path, part)
    for _ in range(9):
        whole.run()
    (tmp_path / "again").mkdir()
    for _ in range(9):  # each trial in a process of its own, which begins from what was kept
        search_in(tmp_path / "again", part).run()
    assert without_seconds(search_in(tmp_path / "again", part).trials) == without_seconds(whole.trials)
    assert [trial.number for trial in whole.trials] == [*range(1, 10)]
    assert whole.trials[0].params == whole.space.params_of(PRESENT)


def test_a_kill_within_a_trial_leaves_nothing_behind(part: Part, tmp_path: Path) -> None:
    search = search_in(tmp_path, part)
    search.run()
    shutil.copy(tmp_path / "journal", tmp_path / "kept")  # what the job keeps after each trial
    search.study.ask()
    shutil.copy(tmp_path / "kept", tmp_path / "journal")
    again = search_in(tmp_path, part)
    assert again.run().number == 2


def test_the_best_is_found_and_what_cannot_win_is_stopped(part: Part, tmp_path: Path) -> None:
    poor = PRESENT.model_copy(update={"factors": 1, "regularization": 5.0})  # leaves no taste at all
    search = search_in(tmp_path, part, poor, most=8)
    for _ in range(12):
        search.run()
    best = best_of(search.trials)
    present = search.trials[0].ndcg
    assert best.ndcg is not None
    assert present is not None
    assert best.ndcg > present + 0.05
    stopped = [trial for trial in search.trials if trial.state == PRUNED]
    assert stopped
    assert all(trial.ndcg is None and len(trial.curve) < trial.params["iterations"] for trial in stopped)


def test_a_training_that_fails_is_a_failed_trial(part: Part, tmp_path: Path) -> None:
    search = search_in(tmp_path, part)
    search.run()

    def diverge(*_: object, **__: object) -> None:
        raise TrainError("no numbers")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("models.tuning.search.train", diverge)
        failed = search.run()
        assert (failed.state, failed.ndcg, failed.fault) == (FAILED, None, "no numbers")
    assert best_of(search.trials).number == 1


def test_present_settings_that_cannot_be_trained_are_an_error(part: Part, tmp_path: Path) -> None:
    tight = PRESENT.model_copy(update={"max_memory": 1})
    with pytest.raises(TrainMemoryError, match="max_memory"):
        search_in(tmp_path, part, tight).run()
