"""The operator's commands, run as the console script runs them, on a product of the test's own."""

import itertools
import os
import sys
from pathlib import Path

import pytest
import redis
import yaml

from conf.connections import KafkaConnection
from conf.settings import PublishSettings
from jobs.cli import app
from publish.connect.topics import ensure_topics
from publish.wire.announcement import Announcement
from publish.wire.keys import ProductKeys
from tests.features.world import settings
from tests.jobs.commands import PASSWORD, CommandResult, Discovery
from tests.publish.support.pushing import PARTITIONS, PATIENCE, publish_directly

_NUMBERS = itertools.count()


@pytest.fixture
def client(redis_url: str) -> redis.Redis:
    return redis.Redis.from_url(redis_url)


@pytest.fixture
def product(tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A product of this test alone, named by the environment; there is no Kafka, so pointers are kept in Redis only."""
    name = f"operated_{os.getpid()}_{next(_NUMBERS)}"
    tree = settings().model_dump(mode="json") | {"product": name}
    (tmp_path / "product.yml").write_text(yaml.safe_dump(tree))
    monkeypatch.setenv("DISCOVERY_CONFIG", str(tmp_path / "product.yml"))
    monkeypatch.setenv("DISCOVERY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("REDIS_URL", redis_url.replace("redis://", f"redis://default:{PASSWORD}@"))
    for variable in ("KAFKA_BOOTSTRAP_SERVERS", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(variable, raising=False)
    return name


@pytest.fixture
def broker(kafka: KafkaConnection, product: str, monkeypatch: pytest.MonkeyPatch) -> KafkaConnection:
    """The broker, named by the environment, with the product's topics."""
    ensure_topics(kafka, ProductKeys(product), PublishSettings(partitions=PARTITIONS), timeout=PATIENCE)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka.servers)
    return kafka


@pytest.fixture
def discovery(product: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Discovery:
    """Runs a command as the console script does."""

    def run(*words: str) -> CommandResult:
        monkeypatch.setattr(sys, "argv", ["discovery", *words])
        with pytest.raises(SystemExit) as end:
            app.main()
        shown = capsys.readouterr()
        assert PASSWORD not in shown.out + shown.err
        return CommandResult(int(end.value.code or 0), shown.out, shown.err)

    return run


@pytest.fixture
def serving(client: redis.Redis, product: str, discovery: Discovery) -> Announcement:
    """A run that was promoted by hand."""
    run = publish_directly(client, product, first=True)
    assert discovery("promote", run.run).code == 0
    return run


def test_nothing_is_there_yet(discovery: Discovery) -> None:
    assert "serves        nothing yet" in discovery("status").out
    assert discovery("status", "--json").data["pointer"]["treatment"] is None
    assert discovery("runs").out == "no run was announced yet\n"
    assert discovery("runs", "--json").data == []
    lookup = discovery("lookup", "42")
    assert lookup.code == 1
    assert "nothing is published" in lookup.log
    assert lookup.out == ""
