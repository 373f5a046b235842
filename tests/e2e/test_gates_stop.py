"""What a gate does not let pass ends the run: everybody can read why, and nobody outside sees anything of it."""

import datetime as dt
import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import jobs.stages.features
from jobs.run.report import REPORT
from jobs.stages.features import build_features
from publish.runs.pointer import Pointer
from tests.e2e.conftest import LAST, write_day
from tests.e2e.product import Make, Product, Published
from tests.e2e.refusals import FIRST, refused
from tests.features.world import PAIR_SCHEMA, ago, table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

LIMITS: dict[str, tuple[str, Any]] = {  # expectation → its gate, a limit that the crowd misses
    "min_rows": ("interactions", 10_000),
    "min_quality_ratio": ("lists", 1_000),
}
SAID = {  # expectation → of the table of what was observed and what is allowed
    "min_rows": ("expectation", "observed", "allowed", "FAILED  min_rows", "120 ", "10,000"),
    "min_quality_ratio": ("expectation", "observed", "allowed", "FAILED  min_quality_ratio", "1,000"),
}
REASON = "the app is new"


def limited(product: Product, *names: str) -> Product:
    product = product.change({"split": {"min_users": 1}})  # so that the crowd is judged
    for name in names:
        gate, limit = LIMITS[name]
        product = product.change({"gates": {gate: {name: limit}}})
    return product


def report(product: Product, run: str, gate: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(product.folder(run).read_bytes(f"gate_{gate}.json"))
    return read


@pytest.mark.fault(12)
@pytest.mark.parametrize("name", LIMITS)
def test_a_gate_that_fails(make: Make, name: str, shared_spark: "SparkSession") -> None:
    product, (gate, _) = limited(make(), name), LIMITS[name]
    told_to = product.home / "alerts"
    product = product.change({"alerts": {"command": ["sh", "-c", 'cat >> "$0"; echo >> "$0"; exit 1', str(told_to)]}})
    ended = refused(product, said=(*SAID[name], f"gate {gate}: 1 of", "nothing is published", f"--override {name}="))
    (run,) = product.run_ids
    assert f"{run}, as of" in ended.log
    told = report(product, run, gate)
    assert (told["passed"], told["run"]) == (False, run)
    (row,) = (row for row in told["expectations"] if row["name"] == name)
    assert not row["passed"]
    assert row["observed"] != row["allowed"]
    assert product.published() == Published((), Pointer(), 0)
    assert {"interactions": "features", "lists": "topn"}[gate] not in product.manifest(run).stages
    assert "GateFailed" in str(product.manifest(run).failure)
    page = product.folder(run).read_bytes(REPORT).decode()
    assert f"Stopped by gate {gate}: {name} is " in page
    assert f"{product.folder(run).uri}/{REPORT}" in ended.log
    (alert,) = map(json.loads, told_to.read_text().splitlines())
    assert (alert["run"], alert["gate"], alert["folder"]) == (run, gate, product.folder(run).uri)
    assert alert["cause"].startswith(f"{name} is ")
    assert alert["cause"] in ended.log
    assert "warning   the alert did not reach the command sh: it ended with 1;" in ended.log


def test_overrides_with_a_reason_lift_both(make: Make, shared_spark: "SparkSession") -> None:
    product = limited(make(), *LIMITS).change({"datasets": {"subscriptions": {"path": "subscriptions"}}})
    follow(product, ago(1), 3)
    flags = [flag for name in LIMITS for flag in ("--override", f"{name}={REASON}")]
    with product.loading():
        ended = product.run(*FIRST, *flags)
    assert ended.code == 0, ended.log
    run = product.run_ids[-1]
    manifest = product.manifest(run)
    assert product.published().pointer.treatment == run
    assert manifest.request.overrides == dict.fromkeys(LIMITS, REASON)
    assert manifest.fact("features", "gate")["overridden"] == {"min_rows": REASON}
    assert manifest.fact("topn", "gate")["overridden"] == {"min_quality_ratio": REASON}
    for name, (gate, _) in LIMITS.items():
        told = report(product, run, gate)
        assert told["passed"]
        lifted = {row["name"]: row["overridden"] for row in told["expectations"] if not row["passed"]}
        assert lifted[name] == REASON
    lose_most_subscriptions(product)


def lose_most_subscriptions(product: Product) -> None:
    """Of the subscriptions of the run that serves nine tenths are gone: the next run ends before it makes anything."""
    follow(product, LAST, 0.3)
    again = ("--as-of", str(LAST), "--override", f"min_rows={REASON}")
    told = ("gate inputs: 1 of 6", "FAILED ", "90.0 % (subscriptions: rows 120 → 12)", "at most 40.0 %")
    ended = refused(product, *again, said=(*told, "--override max_change_of_subscriptions="), work=build_features)
    run = product.run_ids[-1]
    assert not product.folder(run).exists("interactions")
    skipped = {row["name"]: row["skipped"] for row in report(product, run, "inputs")["expectations"]}
    assert "3 new days" in skipped["max_change_of_new_days"], ended.log
    lifted = product.run(*again, "--override", "max_change_of_subscriptions=a cleaning", work=build_features)
    assert lifted.code == 0, lifted.log
    overridden = product.manifest(product.run_ids[-1]).fact("features", "input_gate")["overridden"]
    assert overridden == {"max_change_of_subscriptions": "a cleaning"}


def follow(product: Product, day: dt.date, each: float) -> None:
    """A snapshot in which forty users follow so many sources each, on average."""
    pairs = [(user, 200 + source) for user in range(1, 41) for source in range(3)]
    rows = table(PAIR_SCHEMA, *pairs[: round(40 * each)])
    write_day(Path(product.settings.data_root) / "subscriptions" / f"dt={day}", rows)


@pytest.mark.fault(12)
def test_a_gate_that_hangs(make: Make, monkeypatch: pytest.MonkeyPatch, shared_spark: "SparkSession") -> None:
    product, enough = make().change({"gates": {"time_limit_seconds": 8}}), threading.Event()

    def hang(interactions: object) -> None:
        enough.wait(600)

    monkeypatch.setattr(jobs.stages.features, "measure_interactions", hang)
    try:
        refused(product, said=("FAILED  measured_and_judged", "no answer within 8 s", "gates.time_limit_seconds"))
    finally:
        enough.set()
    (run,) = product.run_ids
    told = report(product, run, "interactions")
    assert (told["passed"], told["profile"]) == (False, None)
    assert product.published() == Published((), Pointer(), 0)
    assert product.manifest(run).stages == {}
