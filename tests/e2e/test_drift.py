"""A bad week beside a learned past: the run is stopped, the cause is named, and the day can be left out."""

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.drift.corruptions import plant
from deploy.demo.tastes import World
from deploy.demo.world import generate
from expectations.drift.history import Measured
from jobs.storage.drift import DriftStore
from jobs.storage.store import Storage
from tests.e2e.conftest import LAST
from tests.e2e.product import Product, Servers
from tests.e2e.raw import reference

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

FILLED, WEEKS = 2, 10
"""Weeks whose history is made of data, and all weeks of the past."""


def product_of(servers: Servers, folder: Path) -> Product:
    """A product whose last week of subscriptions lost nine of ten rows."""
    clean, days = folder / "clean", 7 * FILLED + 35
    generate(clean, World(users=600, sources=150, days=days, events=1_200 * days, as_of=LAST))
    plant(clean, folder / "data", "subscriptions_lost_by_90_percent", LAST, 1)
    settings = reference("drift", folder / "data")
    of = settings["datasets"]  # what else is in the world makes no other alarm, and each dataset has days to measure
    datasets = {"events": {"clicks": of["events"]["clicks"]}, "subscriptions": of["subscriptions"]}
    return Product.create(servers, folder / "home", {**settings, "datasets": datasets})


def remember_more(product: Product) -> None:
    """Earlier weeks, in which the subscriptions were as many as in those whose history was made of data."""
    store = DriftStore.of(Storage(str(product.home)), product.name)
    rows = store.history().series(("snapshot", "subscriptions", "rows")).values
    assert len(rows) == FILLED
    for week in range(FILLED + 1, WEEKS + 1):
        day, value = LAST - dt.timedelta(weeks=week), float(rows[0]) * (1 - week / 200)
        store.keep(f"0-{day}", [Measured("snapshot", "subscriptions", "rows", day, value, value, "")])


def test_a_bad_week_is_stopped_explained_and_left_out(
    servers: Servers, tmp_path: Path, shared_spark: "SparkSession"
) -> None:
    product, as_of = product_of(servers, tmp_path), str(LAST)
    filled = product.discovery("drift", "backfill", "--days", str(7 * FILLED), "--as-of", as_of)
    assert filled.code == 0, filled.log
    assert f"{FILLED} of {FILLED} weeks" in filled.out
    remember_more(product)

    stopped = product.run("--as-of", as_of, "--first")
    assert stopped.code == 2, stopped.log
    assert "subscriptions: rows" in stopped.log
    newest = LAST - dt.timedelta(days=1)
    assert f"discovery drift exclude subscriptions {newest}" in stopped.log
    (run,) = product.run_ids
    assert b"subscriptions" in product.folder(run).read_bytes("drift.html")
    shown = product.discovery("drift", "show")
    assert shown.code == 0, shown.log
    assert "subscriptions.rows" in shown.out

    days = [str(LAST - dt.timedelta(days=ago)) for ago in (1, 3)]
    left_out = product.discovery("drift", "exclude", "subscriptions", *days, "--reason", "the export broke")
    assert left_out.code == 0, left_out.log
    with product.loading():
        served = product.run("--as-of", as_of, "--first")
    assert served.code == 0, served.log
    drift = product.manifest(product.run_ids[-1]).fact("features", "drift")
    assert drift["judged"] >= 1
    # The four weeks before the new days are older than the run's windows; the backfill left their partials.
    found = DriftStore.of(Storage(str(product.home)), product.name).history()
    assert LAST - dt.timedelta(days=1) in found.series(("events", "clicks", "returning_users")).days.tolist()
    assert {one["reason"] for one in drift["excluded"]} == {"the export broke"}
