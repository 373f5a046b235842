"""Servers and worlds that the end-to-end tests share."""

import datetime as dt
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conf.connections import KafkaConnection
from conf.ids import IdKind
from deploy.demo.tastes import World
from deploy.demo.world import generate
from tests.e2e.product import Make, Product, Servers
from tests.features.world import ago, events
from tests.support.odd_names import ODD

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_NUMBERS = itertools.count()
LAST = dt.date(2026, 11, 16)
WEEK_BEFORE = LAST - dt.timedelta(days=7)


@pytest.fixture(scope="session")
def servers(kafka: KafkaConnection, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Servers:
    """Real Kafka, real Redis, and an MLflow store that is made once."""
    return Servers(kafka.servers, redis_url, f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db")


@pytest.fixture(scope="session")
def int_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Datasets with int64 ids, good for runs as of LAST and a week before."""
    return _world(tmp_path_factory.mktemp("int64") / "data", "int64")


@pytest.fixture(scope="session")
def string_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with string ids."""
    return _world(tmp_path_factory.mktemp("string") / "data", "string")


@pytest.fixture(scope="session")
def shared_spark(spark: "SparkSession") -> Iterator["SparkSession"]:
    """The tests' session, which a run finds running; its settings are put back at the end."""
    before = dict(spark.conf.getAll)
    yield spark
    for name, value in spark.conf.getAll.items():
        if before.get(name) != value and spark.conf.isModifiable(name):
            spark.conf.set(name, before[name]) if name in before else spark.conf.unset(name)


@pytest.fixture
def make(servers: Servers, tmp_path: Path) -> Make:
    """Makes a product that reads `days` of clicks (a sound crowd unless given), with changes to that dataset."""

    def build(days: Mapping[int, pa.Table] | None = None, **clicks: Any) -> Product:
        name, data = f"bad_{next(_NUMBERS)}", tmp_path / f"data {ODD}"
        settings = write_days(data, Literal.crowd() if days is None else days, product=name, **clicks)
        return Product.create(servers, tmp_path / f"home {ODD}", settings)

    return build


class Literal:
    """Small worlds of the one dataset `clicks`, three days, written down row by row."""

    @staticmethod
    def crowd() -> dict[int, pa.Table]:
        """Forty users and twelve sources; each user clicked three sources, one a day, of the half that they like."""
        rows = [(user, (user % 2) * 6 + (user // 2 + day) % 6 + 1, day) for user in range(1, 41) for day in (1, 2, 3)]
        return {
            ago_: events(ago(ago_), *((user, 100 + source, "click") for user, source, day in rows if day == ago_))
            for ago_ in (3, 2, 1)
        }


def write_days(folder: Path, days: Mapping[int, pa.Table], *, product: str, **more: Any) -> dict[str, Any]:
    """Writes {days ago: rows} as dataset `clicks` below `folder`; returns the settings of a product that reads it."""
    for number, rows in days.items():
        write_day(folder / "clicks" / f"dt={ago(number)}", rows)
    return settings_of(folder, product=product, **more)


def settings_of(folder: Path, *, product: str, **clicks: Any) -> dict[str, Any]:
    """A product that reads three days of `clicks`, with changes to that dataset."""
    dataset = {"path": "clicks", "window": "3 days ago:today", **clicks}
    return {
        "product": product,
        "data_root": str(folder),
        "datasets": {"events": {"clicks": dataset}},
        "interactions": {"event_weights": {"click": 1.0}},
        "split": {"holdout_days": 1},
    }


def write_day(folder: Path, rows: pa.Table) -> Path:
    """One finished partition of one file; returns the file."""
    folder.mkdir(parents=True)
    pq.write_table(rows, folder / "part-0.parquet")
    (folder / "_SUCCESS").touch()
    return folder / "part-0.parquet"


def _world(folder: Path, ids: IdKind) -> Path:
    generate(folder, World(users=600, sources=150, days=24, events=30_000, as_of=LAST, ids=ids))
    return folder
