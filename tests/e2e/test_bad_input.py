"""Bad input ends a run early: its message says what, where and what to do, and the outside world sees nothing."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from deploy.servers.ports import choose_ports
from jobs.run.context import Run
from tests.e2e.conftest import Literal
from tests.e2e.product import Make
from tests.e2e.refusals import FIRST, clicks_of, refused
from tests.features.world import ago, at, table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


NOBODY = (None, 101, "click", at(ago(1)))
ROWS: dict[str, tuple[tuple[Any, ...], tuple[str, ...]]] = {  # fault → a row of yesterday, what is said
    "null user": (NOBODY, ("'clicks'", str(ago(1)), "user_id", "bad_row_budget")),
    "null source": ((1, None, "click", at(ago(1))), ("'clicks'", str(ago(1)), "source_id", "bad_row_budget")),
    "event without a weight": (
        (1, 101, "lick", at(ago(1))),
        ("'clicks'", "without a weight: 'lick' (1 events)", "interactions.event_weights", "ignore_events"),
    ),
    "another day": ((1, 101, "click", at(ago(2))), ("'clicks'", str(ago(1)), "ts", "bad_row_budget")),
}  # fmt: skip


@pytest.mark.parametrize("fault", ROWS)
def test_rows_that_must_not_be(make: Make, fault: str, shared_spark: "SparkSession") -> None:
    days, (row, said) = Literal.crowd(), ROWS[fault]
    days[1] = pa.concat_tables([days[1], table(days[1].schema, row)])
    product = make(days)
    refused(product, said=said)
    assert not product.folder(product.run_ids[0]).exists("interactions")


def test_ids_that_publish_could_not_hold(make: Make, shared_spark: "SparkSession") -> None:
    days = {number: named(rows) for number, rows in Literal.crowd().items()}
    odd = days[1].slice(0, 3).set_column(1, "source_id", pa.array(["", "a\0", "x" * 300_000]))
    product = make({**days, 1: pa.concat_tables([days[1], odd])}).change({"ids": "string"})
    said = (f"'clicks' (clicks), dt={ago(1)}: 3 of 43 rows are unusable", "1 with an empty source_id", "bad_row_budget")
    refused(product, said=(*said, "with a NUL character in source_id", "with a source_id of more than 255 bytes"))


def named(rows: pa.Table) -> pa.Table:
    """The rows with strings for ids."""
    for place, name in enumerate(("user_id", "source_id")):
        rows = rows.set_column(place, name, rows[name].cast(pa.string()))
    return rows


def test_weights_that_could_add_up_to_too_much(make: Make, shared_spark: "SparkSession") -> None:
    days = {number: rows.append_column("n", pa.array([1e9] * len(rows))) for number, rows in Literal.crowd().items()}
    product = make(days, columns={"weight": "n"}).change({"interactions": {"event_weights": {"click": 1e3}}})
    told = f"9.06e+11 for events 'click' in dataset 'clicks', dt={ago(1)}: one user with far too many events, or a unit"
    ended = refused(product, said=(f"{told} error", "write columns.weight in a larger unit"))
    assert "org.apache.spark" not in ended.log


FLAGS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "future": (("--as-of", "2999-01-01"), ("--as-of 2999-01-01 is in the future", "have not happened yet")),
    "malformed": (("--as-of", "16.11.2026"), ("--as-of '16.11.2026' is not a day", "write YYYY-MM-DD")),
    "below 0": ((*FIRST, "--audience-share", "-0.1"), ("share -10 % is outside 0 … 100 %",)),
    "above 1": ((*FIRST, "--audience-share", "1.5"), ("share 150 % is outside 0 … 100 %",)),
    "too much by hand": (
        (*FIRST, "--audience-share", "0.5"),
        ("--audience-share 50 %", "rollout.max_manual_share = 25 %", "or let the scheduler start the run"),
    ),
    "unknown flag": ((*FIRST, "--frist"), ("--frist", "--help")),
    "no such file": ((*FIRST, "--overlay", "nowhere.yml"), ("nowhere.yml: cannot be read",)),
}


@pytest.mark.parametrize("fault", FLAGS)
def test_flags(make: Make, fault: str) -> None:
    product = make().change({"rollout": {"max_manual_share": 0.25}})
    flags, said = FLAGS[fault]
    refused(product, *flags, said=said)
    assert product.run_ids == []


def test_an_unknown_key(make: Make) -> None:
    product = make()
    (product.home / "typo.yml").write_text("lists: {sise: 3, n: 5}")
    said = ("typo.yml", "unknown key 'lists.sise'", "fallback_size")
    refused(product, *FIRST, "--overlay", str(product.home / "typo.yml"), said=said)
    assert product.run_ids == []


@pytest.mark.parametrize(
    ("variable", "address", "code", "said"),
    [
        ("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:{port}", 1, ("Kafka at 127.0.0.1:", "start it, or check KAFKA_")),
        ("REDIS_URL", "redis://u:hunter2@127.0.0.1:{port}/0", 1, ("Redis at redis://***@127.0.0.1:", "start it")),
        ("MLFLOW_TRACKING_URI", "http://u:hunter2@127.0.0.1:{port}", 1, ("MLflow at http://127.0.0.1:", "is up")),
        ("KAFKA_BOOTSTRAP_SERVERS", "", 2, ("KAFKA_BOOTSTRAP_SERVERS is not set", "`make up`")),
        ("REDIS_URL", "", 2, ("REDIS_URL is not set", "`make up`")),
        ("DISCOVERY_HOME", "/proc/discovery", 1, ("work folder /proc/discovery cannot be written", "DISCOVERY_HOME")),
    ],
)  # fmt: skip
def test_a_server_that_is_down_is_told_before_any_work(
    make: Make, tmp_path: Path, variable: str, address: str, code: int, said: tuple[str, ...]
) -> None:
    product = make()
    shutil.rmtree(clicks_of(product))  # a run that looked at its datasets would say so
    (port,) = choose_ports(tmp_path / "ports", 1)  # free, so nobody answers there
    ended = refused(replace(product, variables={variable: address.format(port=port)}), code=code, said=said)
    assert "hunter2" not in ended.log
    assert "features" not in ended.log
    assert not (product.home / "runs").exists()
    assert not (product.home / "partials").exists()


def test_two_runs_at_once(make: Make) -> None:
    product, second = make(), []

    def meanwhile(run: Run) -> None:
        second.append((run.run_id, product.run("--as-of", str(ago(1)), "--first")))

    assert product.run(*FIRST, work=meanwhile).code == 0
    ((first_run, ended),) = second
    assert ended.code == 1
    assert f"one run at a time, and the lease is held by run {first_run}" in ended.log
    assert "wait for it or stop it" in ended.log
    assert product.run_ids == [first_run]
