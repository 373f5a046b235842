"""A dry run prints what would be read, and needs neither Spark nor servers."""

from pathlib import Path

import pytest
import yaml

from jobs.run.enter import enter
from tests.e2e.conftest import Literal, write_days
from tests.features.world import AS_OF, ago


@pytest.fixture
def flags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "REDIS_URL", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DISCOVERY_HOME", str(tmp_path / "home"))
    settings = write_days(tmp_path / "data", Literal.crowd(), product="dry", window="5 days ago:today")
    (tmp_path / "dry.yml").write_text(yaml.safe_dump(settings))
    return ["--config", str(tmp_path / "dry.yml"), "--as-of", str(AS_OF), "--dry-run"]


def never(run: object) -> None:
    raise AssertionError("a dry run works on no run")


def test_the_plan_is_told_before_its_gaps_stop_it(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert enter(never, flags) == 2
    shown = capsys.readouterr()
    size = sum(file.stat().st_size for file in (tmp_path / "data").rglob("*.parquet"))
    assert f"clicks  [{ago(5)}, {AS_OF})  3 partitions, 120 rows, {size / 1024:.4g} KiB" in shown.out
    assert f"missing: {ago(5)}, {ago(4)}" in shown.out
    assert "2 missing" in shown.err
    assert not (tmp_path / "home").exists()


def test_a_whole_window(flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "over.yml").write_text("datasets: {events: {clicks: {window: '3 days ago:today'}}}")
    assert enter(never, [*flags, "--overlay", str(tmp_path / "over.yml")]) == 0
    assert "the run would start" in capsys.readouterr().out
