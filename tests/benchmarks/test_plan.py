"""`benchmarks.plan` writes what it measured and says how well the largest run was planned."""

import json
from pathlib import Path

import pytest

from benchmarks import plan
from jobs.sizing.measured import Measured, SizedRun, measured, read


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """What was asked to be measured; the committed runs are what is found."""
    asked: list[tuple[int, int]] = []

    def measure(scale: int, events: int) -> SizedRun:
        asked.append((scale, events))
        return measured().runs[min(len(asked) - 1, 3) - 1].model_copy(update={"scale": scale})

    monkeypatch.setattr(plan, "measure", measure)
    return asked


def test_it_writes_a_file_that_plans(
    runs: list[tuple[int, int]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "measured.json"
    assert plan.main(["--events", "1000", "--scales", "9", "1", "3", "--out", str(out), "--shared", "--json"]) == 0
    assert runs[1:] == [(1, 1000), (3, 1000), (9, 1000)]
    made = read(out)
    assert made.shared
    assert made.heap_bytes == 2**30
    assert "--events 1000" in made.command
    text = capsys.readouterr().out
    assert "×9 " in text
    assert "as planned by ×1 and ×3" in text
    found = json.loads(text.splitlines()[-1])
    assert (found["scale"], found["by"], found["goal"]) == (9, [1, 3], 0.2)
    assert {check["unit"] for check in found["checks"]} == {"core-seconds", "seconds", "bytes"}


def test_what_was_kept_is_read_and_nothing_measured(
    runs: list[tuple[int, int]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert plan.main(["--kept"]) == 0
    assert runs == []
    assert "features" in capsys.readouterr().out


def test_wall_time_beside_other_work_misses_no_goal(runs: list[tuple[int, int]]) -> None:
    def wall(made: Measured) -> bool:
        held = plan.HeldOut.of(made)
        return next(check.counts for check in held.checks if check.unit == "seconds")

    assert not wall(measured().model_copy(update={"shared": True}))
    assert wall(measured().model_copy(update={"shared": False}))


def test_two_sizes_are_too_few(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        plan.main(["--scales", "1", "4"])
    assert "three sizes at least" in capsys.readouterr().err


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert plan.main(["--kept", "--out", str(tmp_path / "nothing.json")]) == 2
    assert "nothing.json" in capsys.readouterr().err
