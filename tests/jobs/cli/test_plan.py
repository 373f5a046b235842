"""`discovery plan`: its numbers, where they come from, and its refusal of what cannot fit."""

import datetime as dt
import pathlib
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import redis
import yaml

from conf.connections import KafkaConnection
from conf.settings import PublishSettings
from publish.clock import utc_now
from publish.connect.topics import ensure_topics
from publish.operate.control import Control
from publish.store.capacity import estimate_bytes
from publish.wire.keys import ProductKeys
from tests.features.world import settings
from tests.jobs.commands import Discovery
from tests.jobs.days import write_day
from tests.publish.support.pushing import publish_directly
from tests.publish.support.samples import closed_port


def described(found: Any) -> tuple[int, int, int]:
    return found["lists"]["records"], found["topic_bytes"], found["run_bytes"]


def test_without_run_and_audience_it_asks_for_users(discovery: Discovery) -> None:
    said = discovery("plan")
    assert (said.code, said.out) == (2, "")
    assert "say --users N" in said.log


def test_twice_the_users_need_twice_the_topic_and_the_memory(discovery: Discovery) -> None:
    one = described(discovery("plan", "--users", "100000", "--json").data)
    two = described(discovery("plan", "--users", "200000", "--json").data)
    for less, more in zip(one, two, strict=True):
        assert more == pytest.approx(2 * less, rel=0.05)


def test_the_newest_run_is_the_measure(
    discovery: Discovery,
    client: redis.Redis,
    product: str,
) -> None:
    run = publish_directly(client, product, first=True)
    found = discovery("plan", "--share", "50", "--json").data
    assert found["lists"]["records"] == run.users // 2
    assert found["lists"]["record_bytes"] == pytest.approx(run.total_bytes / run.users)
    assert run.run in found["rate"]["basis"]
    assert found["fits"] is True


def test_the_audience_is_counted_from_its_footers(
    discovery: Discovery,
    product: str,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tree = settings().model_dump(mode="json") | {"product": product, "data_root": str(tmp_path / "data")}
    tree["datasets"]["audience"] = {"path": "audience"}
    (tmp_path / "product.yml").write_text(yaml.safe_dump(tree))
    for day, users in (("2026-11-08", 50), ("2026-11-15", 70), ("2026-11-16", 90)):
        folder = tmp_path / "data" / "audience" / f"dt={day}"
        folder.mkdir(parents=True)
        pq.write_table(pa.table({"user_id": list(range(users))}), folder / "part-0.parquet")
        (folder / "_SUCCESS").touch()
    (folder / "_SUCCESS").unlink()  # of the newest: it is still being written
    found = discovery("plan", "--json").data
    assert found["lists"]["records"] == 70
    assert "2026-11-15" in found["lists"]["basis"]
    monkeypatch.delenv("REDIS_URL")
    assert discovery("plan", "--json").data["fits"] is None
    assert "unknown without Redis" in discovery("plan").out


def test_what_was_shown_is_looked_at_and_refuses_nothing(
    discovery: Discovery,
    product: str,
    tmp_path: pathlib.Path,
) -> None:
    assert discovery("plan", "--users", "10", "--json").data["shown"] is None
    tree = settings().model_dump(mode="json") | {"product": product, "data_root": str(tmp_path / "data")}
    tree["datasets"]["impressions"] = {"path": "seen", "on_missing": "shrink", "max_missing_days": 6}
    (tmp_path / "product.yml").write_text(yaml.safe_dump(tree))
    away = discovery("plan", "--users", "10")
    assert away.code == 0
    assert "shown    no click-through rates: dataset" in away.out
    yesterday = utc_now().date() - dt.timedelta(days=1)
    noon = dt.datetime.combine(yesterday, dt.time(12), dt.UTC)
    write_day(tmp_path / "data/seen", yesterday, pa.table({"user_id": [1], "source_id": [2], "ts": [noon]}))
    assert "1 impressions in " in discovery("plan", "--users", "10").out
    assert discovery("plan", "--users", "10", "--json").data["shown"]["rows"] == 1
    write_day(tmp_path / "data/seen", yesterday, pa.table({"user_id": ["one"], "source_id": [2], "ts": [noon]}))
    assert "'user_id' is string, must be an integer" in discovery("plan", "--users", "10").out


def test_what_begin_would_clear_counts_as_room(discovery: Discovery, client: redis.Redis, product: str) -> None:
    failed, passed_over, serving = (publish_directly(client, product, first=True) for _ in range(3))
    control = Control.connect(client, product)
    control.promote(serving.run)
    control.registry.fail(failed.run, "because")
    assert discovery("plan", "--json").data["clearable"] == estimate_bytes(failed) + estimate_bytes(passed_over)
    assert control.retire_unneeded() == (failed.run, passed_over.run)
    assert discovery("plan", "--json").data["clearable"] == 0


def test_a_topic_with_other_partitions_is_told_before_anything_runs(
    discovery: Discovery, kafka: KafkaConnection, product: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka.servers)
    assert "it fits" in discovery("plan", "--users", "10").out
    ensure_topics(kafka, ProductKeys(product), PublishSettings(partitions=5))
    said = discovery("plan", "--users", "10")
    assert said.code == 2
    assert f"does not fit: topic {product}.topn.v1 has 5 partitions, the settings say" in said.out
    assert discovery("plan", "--users", "10", "--json").data["fits"] is False
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", f"127.0.0.1:{closed_port()}")
    away = discovery("plan", "--users", "10")
    assert away.code == 0
    assert "topics were not looked at: Kafka at" in away.log


def test_a_topic_with_another_retention_is_told_and_refuses_nothing(
    discovery: Discovery, kafka: KafkaConnection, product: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka.servers)
    ensure_topics(kafka, ProductKeys(product), PublishSettings(retention_hours=48))
    for words in (("plan", "--users", "10"), ("status",)):
        said = discovery(*words)
        assert said.code == 0
        assert f"topic {product}.topn.v1 keeps messages 48 h, publish.retention_hours says 840 h" in said.log


def test_what_cannot_fit_is_refused_with_the_numbers(discovery: Discovery) -> None:
    said = discovery("plan", "--users", "50000000")
    assert said.code == 2
    assert "does not fit: it needs" in said.out
    assert "give Redis more memory" in said.out
