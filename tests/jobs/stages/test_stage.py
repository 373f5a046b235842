"""A stage runs once, and the manifest knows it exactly when it is done."""

import logging
from pathlib import Path

import pytest

from jobs.run.context import Run
from jobs.run.manifest import load_manifest
from jobs.stages.stage import Facts, stage
from publish.errors import LeaseLost
from tests.jobs.runs import FakeLease, run_in


@stage("count")
def count(run: Run) -> Facts:
    with (Path(run.folder.uri) / "calls").open("a") as calls:
        calls.write("x")
    return {"rows": {"lists": 7}}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return _made(tmp_path)[0]


def _made(tmp_path: Path) -> tuple[Run, FakeLease]:
    run, lease = run_in(tmp_path)
    Path(run.folder.uri).mkdir(parents=True)
    run.keep(run.manifest.model_copy(update={"failure": "of the attempt before"}))
    return run, lease


def test_a_stage_is_recorded_with_its_facts(run: Run) -> None:
    count(run)
    kept = load_manifest(run.folder)
    assert kept == run.manifest
    assert kept is not None
    assert kept.fact("count", "rows") == {"lists": 7}
    assert kept.failure is None
    assert kept.stages["count"].seconds >= 0
    assert kept.stages["count"].peak_bytes["driver"] > 2**20
    assert kept.stages["count"].core_seconds["total"] >= 0


def test_a_finished_stage_is_not_repeated(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "discovery")
    count(run)
    before = run.manifest
    count(run)
    assert run.folder.read_bytes("calls") == b"x"
    assert run.manifest == before
    assert "finished in an earlier attempt" in caplog.text


def test_a_stage_that_fails_is_not_recorded(run: Run) -> None:
    @stage("broken")
    def broken(run: Run) -> Facts:
        raise ValueError

    with pytest.raises(ValueError):
        broken(run)
    kept = load_manifest(run.folder)
    assert kept is not None
    assert "broken" not in kept.stages


def test_who_has_lost_the_lease_writes_nothing(tmp_path: Path) -> None:
    run, lease = _made(tmp_path)
    before = run.folder.read_bytes("manifest.json")
    lease.lost = True
    with pytest.raises(LeaseLost) as lost:
        count(run)
    run.note_failure(lost.value)  # another attempt may own the folder by now
    assert run.folder.read_bytes("manifest.json") == before


def test_a_full_disk_does_not_hide_the_failure(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    before = run.folder.read_bytes("manifest.json")
    Path(run.folder.uri, "manifest.json.part").symlink_to("/dev/full")
    run.note_failure(ValueError("the first fault"))
    assert "could not be written" in caplog.text
    assert run.folder.read_bytes("manifest.json") == before
    run.note_failure(ValueError("the first fault"))
    assert run.manifest.failure == "ValueError: the first fault"
