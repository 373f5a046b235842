"""The drift benchmark: the same numbers for every rule, and what a planted fault costs."""

import json
from typing import TYPE_CHECKING

import pytest
import yaml

import benchmarks.drift.generated as generated
from benchmarks.drift.__main__ import main, stopped_share
from benchmarks.drift.planted import Planted, planted
from conf.settings import Settings
from deploy.chain import REPO
from deploy.demo.tastes import World

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def test_healthy_products_and_power(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(generated, "STATISTICS", 6)
    monkeypatch.setattr(generated, "_COUNTS", 3)
    assert main(["--only", "healthy", "power", "--years", "10", "--json"]) == 0
    *_, last = capsys.readouterr().out.splitlines()
    found = json.loads(last)
    rates = {row["rule"]: row["per_year"] for row in found["healthy"]}
    assert rates[generated.OURS] <= 1
    assert rates["mean ± 3 sd of a year (NannyML)"] > 10
    halved = [row for row in found["power"] if row["part"] == 0.5]
    assert all(row["ours"] > row["pull"] for row in halved)


def test_heavy_tails_stop_more() -> None:
    usual, heavy = (generated.healthy(10, 3, {"pull": generated.pull(5)}, heavy=part)[0] for part in (0.0, 1.0))
    assert heavy.stopped > usual.stopped


def test_a_planted_fault_costs_and_is_judged(spark: "SparkSession") -> None:
    tree = yaml.safe_load((REPO / "conf/prod_discovery.yml").read_text())
    tree["train"]["factors"], tree["spark"] = 8, {"shuffle_partitions": 2}
    world = World(users=300, sources=100, days=28, events=15_000)
    ((past, (fault,)),) = planted(
        spark, Settings.model_validate(tree), [world], 1, ["subscriptions_lost_by_90_percent"]
    )
    assert past.stopped == ()
    assert fault.harmful
    assert fault.in_breach is not None
    assert fault.in_breach > 0.1
    assert not fault.stopped  # one week is no past
    assert stopped_share([fault]) == 0.0


def test_what_could_not_be_made_is_stopped_and_not_counted() -> None:
    refused = Planted("x", "y", ("z",), 1, None, None, stopped=True, by="BadRowsError", named="", alarms=0)
    assert not refused.harmful
    assert stopped_share([refused]) == 1.0
