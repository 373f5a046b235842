"""The command line of a search, and what a study agrees to go on with."""

import datetime as dt
from pathlib import Path

import pytest

from conf.errors import ConfigError
from jobs.storage.store import Storage
from jobs.tuning.arguments import parse_tuning
from jobs.tuning.errors import StudyConflict, StudyTaken
from jobs.tuning.study import _locked, _record
from jobs.tuning.trials import TuningProgress
from models.tuning import Trial

TODAY = dt.date(2026, 11, 16)
NEEDED = ["--config", "conf/prod_discovery.yml", "--as-of", "2026-11-16"]
BASIS = {
    "as_of": "2026-11-16",
    "settings": {"train": {"alpha": 0.5}},
    "data": {"holdout": {"clicks": {"2026-11-15": "a"}}},
}


def test_flags_become_values() -> None:
    found = parse_tuning([*NEEDED, "--trials", "12", "--max-factors", "64", "--study", "a_b-2.c"], today=TODAY)
    assert (found.as_of, found.trials, found.max_factors, found.study) == (TODAY, 12, 64, "a_b-2.c")
    assert found.judged_users == 20_000


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], "--trials"),
        (["--trials", "0"], "'--trials': Input should be greater than or equal to 1"),
        (["--trials", "many"], "'--trials': Input should be a valid integer"),
        (["--trials", "3", "--max-factors", "2000"], "'--max-factors': Input should be less than or equal to 1024"),
        (["--trials", "3", "--judged-users", "-1"], "'--judged-users': Input should be greater than or equal to 1"),
        (["--trials", "3", "--study", "../elsewhere"], "is no name"),
        (["--trials", "3", "--as-of", "2026-11-17"], "future"),
        (["--trials", "3", "--run-id", "x"], "--run-id"),
    ],
)
def test_bad_flags_are_refused(flags: list[str], said: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_tuning([*NEEDED, *flags], today=TODAY)
    assert said in str(error.value)


def test_a_study_goes_on_with_what_it_was_begun_with(tmp_path: Path) -> None:
    folder = Storage(str(tmp_path))
    begun = _record(folder, "one", BASIS)
    assert _record(folder, "one", BASIS) == begun
    other = {**BASIS, "settings": {"train": {"alpha": 0.7}}, "data": {"holdout": {"clicks": {"2026-11-15": "b"}}}}
    with pytest.raises(StudyConflict) as error:
        _record(folder, "one", other)
    assert "settings.train.alpha was 0.5 and is 0.7" in str(error.value)
    assert 'data.holdout.clicks.2026-11-15 was "a" and is "b"' in str(error.value)


def test_one_process_at_a_time(tmp_path: Path) -> None:
    folder = Storage(str(tmp_path / "one"))
    with (
        _locked(folder, "one"),
        pytest.raises(StudyTaken, match="another process works on study one"),
        _locked(folder, "one"),
    ):
        pass
    with _locked(folder, "one"):
        pass


def trial(number: int, ndcg: float | None, seconds: float = 2.0, fault: str | None = None) -> Trial:
    state = "complete" if ndcg is not None else "failed" if fault else "pruned"
    return Trial(number, state, {}, ndcg, ndcg, {1: 0.1, 2: 0.15}, seconds, fault)


def test_progress_says_where_a_study_is() -> None:
    made = [trial(1, 0.2), trial(2, 0.25), trial(3, None)]
    assert TuningProgress(made[:2], 5, 20).line == (
        "trial 2/5 complete · NDCG@20 0.2500 · best 0.2500 in trial 2, +25.0% on the present settings · 2.0 s, 6 s left"
    )
    assert (
        "trial 3/5 pruned · 0.1500 at best after 2 iterations · best 0.2500 in trial 2"
        in TuningProgress(made, 5, 20).line
    )
    assert "trial 4/5 failed · no numbers ·" in TuningProgress([*made, trial(4, None, fault="no numbers")], 5, 20).line
    assert TuningProgress([trial(1, 0.2, 600)], 4, 20).line.endswith("600.0 s, 30 min left")
    assert TuningProgress([trial(1, 0.0)], 1, 20).line.startswith("trial 1/1")
