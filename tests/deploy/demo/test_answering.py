"""Users of a demo world look their lists up through the real service, and what was answered is landed."""

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import redis
import yaml

from conf.connections import KafkaConnection
from conf.settings import PublishSettings
from deploy.chain import ChainFailed, ProductFiles, running_service
from deploy.demo.answering import answer
from deploy.demo.life import Life
from deploy.demo.lookups import Asked
from deploy.demo.planted_lists import PlantedLists, PlantedModel
from deploy.demo.tastes import World
from deploy.demo.world import generate
from publish.connect.topics import ensure_topics
from publish.operate.control import Control
from publish.runs.registry import RunRegistry
from publish.wire.announcement import Announcement
from publish.wire.keys import ProductKeys
from tests.features.world import settings
from tests.publish.support.pushing import PARTITIONS, load_directly
from tests.publish.support.samples import announcement_of

_WORLD = World(users=300, sources=200, days=21, events=10_000, seed=3)


@pytest.fixture
def product(tmp_path: Path) -> ProductFiles:
    """A product that reads the world."""
    tree = settings().model_dump(mode="json") | {"product": f"answers_{os.getpid()}_{int(time.time())}"}
    tree["serve"] = {"drain_delay_seconds": 0, "redis_timeout_seconds": 60}
    (tmp_path / "product.yml").write_text(yaml.safe_dump(tree))
    return ProductFiles(tmp_path / "product.yml")


@pytest.fixture
def environment(tmp_path: Path, kafka: KafkaConnection, redis_url: str) -> dict[str, str]:
    """The variables of the service and of the landing."""
    here = {"DISCOVERY_HOME": str(tmp_path), "REDIS_URL": redis_url, "KAFKA_BOOTSTRAP_SERVERS": kafka.servers}
    return {**os.environ, **here, "DISCOVERY_SERVE_TOKEN": "of-somebody-else-0123456789"}


def _name(product: ProductFiles) -> str:
    return str(yaml.safe_load(product.config.read_text())["product"])


def _serve_lists(client: redis.Redis, name: str, life: Life) -> str:
    """Lets planted lists serve everybody but the first twenty users. Returns the run."""
    followed = life.followed(life.world.as_of)
    lists = PlantedLists(life.population, followed, {"treatment": PlantedModel("planted")}, n=20)
    users = life.population.truth.user_ids.to_pylist()[20:]
    told = lists.answers([Asked(user, "default") for user in users])
    kept = {user: list(one.source_ids) for user, one in zip(users, told, strict=True)}
    registry, popular = RunRegistry(client, name), tuple(told[0].source_ids)
    made = announcement_of(kept, product=name, fallback=popular, list_size=20, epoch=registry.next_epoch())
    run = Announcement.model_validate(made.model_dump() | {"created_at": datetime.now(UTC), "first": True})
    registry.announce(run)
    load_directly(client, run, kept)
    assert registry.ready(run.run)
    Control.connect(client, name).promote(run.run)
    return run.run


def test_a_day_through_the_real_service(
    tmp_path: Path, product: ProductFiles, environment: dict[str, str], kafka: KafkaConnection, redis_url: str
) -> None:
    generate(tmp_path / "data", _WORLD)
    ensure_topics(kafka, ProductKeys(_name(product)), PublishSettings(partitions=PARTITIONS))
    life = Life.of(tmp_path / "data")
    run = _serve_lists(redis.Redis.from_url(redis_url), _name(product), life)
    answered = answer(product, environment, tmp_path)
    day = answered.day
    assert (day.answers, answered.landed, answered.missing) == (45, 45, 0)
    assert day.kinds.keys() <= {"list", "fallback"}
    assert day.kinds["list"] > 30
    shown = pq.ParquetFile(tmp_path / f"data/impressions/dt={_WORLD.as_of}/part-0.parquet").read()
    assert set(shown["run"].to_pylist()) == {run}
    assert 0 < len(shown) == day.shown < day.listed
    said = answered.text()
    assert f"Users answer their lists on {_WORLD.as_of}" in said
    assert "hits per answer (basis: answered)" in said
    assert "click-through rate (basis: shown)" in said


def test_a_service_that_cannot_start_is_named(
    product: ProductFiles, environment: dict[str, str], tmp_path: Path
) -> None:
    product.config.write_text("product: 7\n")
    with (
        pytest.raises(ChainFailed, match=r"is not ready; the end of its log"),
        running_service(product, environment, tmp_path / "serve.log"),
    ):
        pass
