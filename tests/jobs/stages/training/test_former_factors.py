"""A training goes on, and a refresh folds users in, from factors as their run left them, or not at all."""

import logging
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conf import contract
from conf.training import AlsSettings
from jobs.run.context import Run
from jobs.stages.training.refresh import RefreshRefused, refresh
from jobs.stages.training.warm_start import former_factors
from jobs.storage.bound_folder import ChangedSince
from models.champion import Champion
from models.training.als_trainer import AlsTrainer
from models.training.trainers import TRAINERS
from tests.features.world import AS_OF, ago, settings
from tests.jobs.runs import RUN_ID, finish, manifest_of, run_in

FACTORS = {"user_factors": "user_id", "source_factors": "source_id"}
CHAMPION = Champion(run_id=RUN_ID, version="1", recipe={})


def rows_of(table: str, score: float) -> pa.Table:
    return pa.Table.from_pylist([{FACTORS[table]: 1, "factors": [score, 0.5]}], getattr(contract, table)("int64"))


def trained(home: Path, *, bound: bool = True, algorithm: str = "als") -> Run:
    """The run that serves, as of long before the hold-out."""
    request = manifest_of().request.model_copy(update={"as_of": ago(30)})
    run, _ = run_in(home, request=request, bound=bound)
    run.begin_stage("train")
    for table in FACTORS:
        rows = rows_of(table, 0.25)
        run.folder.write_table(table, rows.to_batches(), rows.schema)
    finish(run, "train", training={"algorithm": algorithm, "constants": {}})
    return run


def change(run: Run, table: str) -> None:
    """By hand; the marker stays."""
    pq.write_table(rows_of(table, 0.75), Path(run.folder.uri, table, "part-0.parquet"))


def now(home: Path) -> Run:
    request = manifest_of().request.model_copy(update={"run_id": RUN_ID.replace("16T", "17T"), "as_of": AS_OF})
    run, _ = run_in(home, request=request, serving_before=RUN_ID, champion=CHAMPION)
    run.begin_stage("train")
    return run


@pytest.mark.parametrize("table", FACTORS)
def test_what_was_changed_since_is_not_gone_on_from(
    tmp_path: Path, table: str, caplog: pytest.LogCaptureFixture
) -> None:
    former, run = trained(tmp_path), now(tmp_path)
    warm = former_factors(run, settings().train)
    assert warm.start is not None
    assert warm.facts(warm=True)["from_run"] == RUN_ID
    change(former, table)
    with pytest.raises(ChangedSince, match=f"table {table!r} of run {RUN_ID}.*while stage train worked on it"):
        run.folder.made()
    run.begin_stage("train")
    cold = former_factors(run, settings().train)
    assert cold.start is None
    said = f"table {table!r} of run {RUN_ID} was changed since stage train left it"
    assert said in str(cold.reason)
    assert said in caplog.text
    with pytest.raises(RefreshRefused, match=rf"{said}.*or start without --refresh"):
        refresh(run)
    former.folder.delete(table)
    run.begin_stage("train")
    with pytest.raises(RefreshRefused, match=f"table {table!r} of run {RUN_ID} is gone"):
        refresh(run)


def test_a_run_of_older_code_is_gone_on_from_and_that_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    trained(tmp_path, bound=False)
    run = now(tmp_path)
    for _ in ("the judged training", "the refit"):
        assert former_factors(run, settings().train).start is not None
    assert caplog.text.count(f"run {RUN_ID} was made by code that kept no digests (abc)") == 1


class FromNothing(AlsTrainer):
    def cold_every(self, settings: AlsSettings) -> None:
        return None


@pytest.mark.parametrize("algorithm", ["als", "als_spark"])
def test_a_training_goes_on_from_another_of_the_same_trainer(tmp_path: Path, algorithm: str) -> None:
    trained(tmp_path, algorithm=algorithm)
    assert former_factors(now(tmp_path), settings().train).start is not None


def test_a_trainer_goes_on_from_no_other_ones_factors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained(tmp_path, algorithm="bpr")
    for _ in ("a trainer that is not known here", "one that is known"):
        cold = former_factors(now(tmp_path), settings().train)
        assert (cold.start, cold.reason) == (None, f"run {RUN_ID} was trained by bpr")
        monkeypatch.setitem(TRAINERS, "bpr", FromNothing())
    monkeypatch.setitem(TRAINERS, "als", FromNothing())
    cold = former_factors(now(tmp_path), settings().train)
    assert (cold.start, cold.reason) == (None, "train.algorithm als cannot continue from earlier factors")
