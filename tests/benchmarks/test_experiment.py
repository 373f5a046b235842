"""The benchmark of experiments with few rounds: every part runs, is seeded, and shows what its rivals miss."""

import json
from typing import Any

import pytest

from benchmarks.experiment import coverage
from benchmarks.experiment.__main__ import main


def measured(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main([*arguments, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return found


def test_intervals_hold_the_truth_and_weeks_are_not_independent(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coverage, "POOL", 20_000)
    rows = measured(capsys, "--only", "coverage", "--rounds", "8")["coverage"]
    assert len(rows) == 72
    assert sum(row["ours"] for row in rows) / len(rows) > 0.9
    independent = [row["rival"] for row in rows if "relative" not in row["metric"]]
    assert sum(independent) / len(independent) < 0.9


def test_looks_ratios_ramps_and_the_paradox(capsys: pytest.CaptureFixture[str]) -> None:
    found = measured(capsys, "--only", "looks", "width", "mismatch", "ramps", "simpson", "--rounds", "10")
    assert sum(row["ours"] for row in found["looks"]) / len(found["looks"]) <= 0.17
    assert max(row["ours"] for row in found["width"]) <= 1.13
    healthy, first, month, *_ = found["mismatch"]
    assert healthy["ours"] == 0
    assert min(first["ours"], month["ours"]) >= 0.5
    assert [(row["users"], row["lift"]) for row in found["ramps"][:2]] == [(1_000_000, -0.05), (1_000_000, 0.0)]
    assert found["ramps"][0]["stopped_early"] == found["ramps"][1]["done"] == 1
    (paradox,) = found["simpson"]
    assert paradox["pooled_positive"] == paradox["ours_negative"] == 1
    again = measured(capsys, "--only", "mismatch", "simpson", "--rounds", "10")
    assert [again[name] for name in ("mismatch", "simpson")] == [found[name] for name in ("mismatch", "simpson")]
