"""The exporter: what durable state says, source by source; what cannot be read is absent, and nothing is old."""

import threading
import time
from collections import Counter
from pathlib import Path
from subprocess import run
from typing import Any

import pytest
import redis
from prometheus_client import CollectorRegistry, generate_latest

from conf.connections import RedisConnection
from conf.settings import Settings
from jobs.export.collect import Exporter, SourceReader, sources_of
from jobs.export.metrics import ALL, EXPORTER_METRICS, SOURCES
from jobs.export.samples import Sample, Samples, families
from jobs.storage.store import Storage
from publish.connect.rights import Role
from publish.load.loader_metrics import LOADER_METRICS
from publish.metric import Metric
from tests.jobs.export.full import FINDINGS, run_id, settings_of, write_all, write_reports, write_run
from tests.jobs.export.test_metrics import expected, looked_up, shape_of
from tests.publish.support.acl_users import connection_as, drop_users, make_users
from tests.support.tools import tool

MOST = 500
AWAY = RedisConnection.model_validate({"url": "redis://127.0.0.1:1/0"})


@pytest.fixture
def home(tmp_path: Path) -> Storage:
    return Storage(str(tmp_path))


@pytest.fixture
def redis_store(redis_url: str) -> RedisConnection:
    return RedisConnection.model_validate({"url": redis_url})


def values(exporter: Exporter) -> dict[str, float]:
    """Series → value, without the product; the time that reading took is left out."""
    found = {}
    for family in exporter.collect():
        for one in family.samples:
            labels = ",".join(value for label, value in one.labels.items() if label != "product")
            if one.name != "discovery_export_source_seconds":
                found[f"{one.name}{{{labels}}}" if labels else one.name] = one.value
    return found


def of_source(source: str) -> set[str]:
    return {one.name for one in SOURCES[source]}  # type: ignore[index]


def series_of(registry: CollectorRegistry) -> int:
    return sum(not line.startswith("#") for line in generate_latest(registry).decode().splitlines())


def test_the_fullest_product_has_every_series_of_the_table_and_not_too_many(
    home: Storage, clean_redis: redis.Redis, redis_url: str
) -> None:
    """By the user of Redis who may only read."""
    with redis.Redis.from_url(redis_url) as admin:
        make_users(admin, "groups")
        try:
            write_all(home, clean_redis, "groups")
            store = connection_as(redis_url, "groups", Role.EXPORTER)
            exporter = Exporter.of([settings_of("groups")], home, store, seconds=60)
            found = shape_of(exporter.collect())
            checked = run([tool("promtool"), "check", "metrics"], input=generate_latest(exporter.registry))
            again, more = values(exporter), values(exporter)
        finally:
            drop_users(admin, "groups")
    assert found == expected(EXPORTER_METRICS, "groups")
    assert checked.returncode == 0
    for name in [name for name in again if "memory_used" in name or "room" in name]:
        del again[name], more[name]
    assert again == more  # nothing else that is exported depends on the time of the scrape
    looked = sum(sample.name != "" for family in looked_up().collect() for sample in family.samples)
    most = sum(one.most_series for one in (*EXPORTER_METRICS, *LOADER_METRICS))
    never = 5 * 17  # outcomes that only the other route has
    assert most + looked - never <= MOST


def test_what_is_said_of_it(home: Storage, clean_redis: redis.Redis, redis_store: RedisConnection) -> None:
    write_all(home, clean_redis, "groups")
    found = values(Exporter.of([settings_of("groups")], home, redis_store, seconds=60))
    assert {name: found[name] for name in found if "_serving_" in name and "timestamp" not in name} == {
        "discovery_serving_treatment": 1, "discovery_serving_control": 1, "discovery_serving_share_ratio": 0.5,
        "discovery_serving_cap_ratio": 1, "discovery_serving_held": 1, "discovery_serving_users{treatment}": 60,
        "discovery_serving_users{control}": 60, "discovery_serving_damaged_partitions": 0,
        "discovery_serving_restoring": 0, "discovery_serving_unsent_changes": 2,
    }  # fmt: skip
    assert found["discovery_serving_as_of_timestamp_seconds"] == 1_794_787_200
    assert (found["discovery_run_states{READY}"], found["discovery_run_states{FAILED}"]) == (2, 1)
    assert found["discovery_run_pushes"] == 1
    assert (found["discovery_run_push_announced_lists"], found["discovery_run_push_loaded_lists"]) == (10, 0)
    assert found["discovery_run_period_seconds"] == 7 * 86_400
    assert found["discovery_run_last_failed"] == 0
    assert found["discovery_run_lists{readable,treatment}"] == 99
    assert found["discovery_gate_passed{lists,treatment}"] == 1
    assert found["discovery_gate_overrides{lists,control}"] == 1
    assert found["discovery_drift_findings{input_drift,treatment,block}"] == 1
    assert found["discovery_drift_largest_deviation_ratio{input_drift,treatment}"] == 3
    assert found["discovery_drift_judged{list_drift,control}"] == len(FINDINGS) - 1
    assert found["discovery_run_outcome_hits{treatment,shown}"] == 7 * 5
    assert found["discovery_run_outcome_hits_per_answer{treatment,shown}"] == 0.25
    day = 86_400
    assert found["discovery_run_outcome_measured_timestamp_seconds"] == 1_794_787_200 + 9 * day
    assert found["discovery_run_outcome_mature_timestamp_seconds"] == 1_794_787_200 + 8 * day
    assert found["discovery_experiment_open"] == 1
    assert found["discovery_experiment_decision{stop}"] == 1
    assert found["discovery_experiment_stop_unenforced"] == 1
    low, lift, high = (found[f"discovery_experiment_lift{end}_ratio{{events}}"] for end in ("_low", "", "_high"))
    assert low < lift < high
    assert found["discovery_experiment_guardrail_breached{new}"] == 1  # of one of its categories
    assert found["discovery_experiment_guardrail_breached{events}"] == 0


def test_of_nothing_there_is_nothing(home: Storage, clean_redis: redis.Redis, redis_store: RedisConnection) -> None:
    found = values(Exporter.of([settings_of("groups")], home, redis_store, seconds=60))
    assert [found[f"discovery_export_source_up{{{source}}}"] for source in SOURCES] == [1, 1, 1, 1]
    assert (found["discovery_serving_treatment"], found["discovery_experiment_open"]) == (0, 0)
    assert not [name for name in found if "timestamp" in name]


def test_each_source_that_cannot_be_read_takes_only_its_own_series_away(
    home: Storage, clean_redis: redis.Redis, redis_store: RedisConnection, caplog: Any
) -> None:
    write_all(home, clean_redis, "groups")
    exporter = Exporter.of([settings_of("groups")], home, redis_store, seconds=60)
    before = values(exporter)
    root, product = Path(home.uri), settings_of("groups").product
    damaged = {
        "runs": root / f"runs/{product}",
        "outcomes": root / f"outcomes/{product}/dt=2026-11-16/_record.json",
        "experiments": root / f"experiments/{product}/bigger/decisions/week-02.json",
    }
    for source, path in damaged.items():
        aside = path.with_name("aside")
        path.rename(aside)
        path.write_text("{")
        found = values(exporter)
        gone = {name for name in before if name not in found}
        assert {name.partition("{")[0] for name in gone} <= of_source(source)
        assert found[f"discovery_export_source_up{{{source}}}"] == 0
        assert not {name.partition("{")[0] for name in found} & of_source(source)
        same = {name: value for name, value in found.items() if not name.startswith("discovery_export_")}
        assert {name: before[name] for name in same if "memory_used" not in name and "room" not in name} == {
            name: value for name, value in same.items() if "memory_used" not in name and "room" not in name
        }
        assert found[f"discovery_export_errors_total{{{source}}}"] == 1
        path.unlink()
        aside.rename(path)
        assert values(exporter)[f"discovery_export_source_up{{{source}}}"] == 1
    said = [record.getMessage() for record in caplog.records if "cannot be read" in record.getMessage()]
    assert len(said) == len(damaged)
    assert f"groups: outcomes cannot be read: DamagedOutcomes: {damaged['outcomes']}" in "".join(said)


def test_redis_that_is_away_is_said_and_the_files_are_there(home: Storage) -> None:
    write_reports(write_run(home, "groups"))
    found = values(Exporter.of([settings_of("groups")], home, AWAY, seconds=60))
    assert (found["discovery_export_source_up{redis}"], found["discovery_redis_up"]) == (0, 0)
    assert {name.partition("{")[0] for name in found} & of_source("redis") == {"discovery_redis_up"}
    assert found["discovery_gate_passed{lists,treatment}"] == 1


def test_a_scrape_reads_only_what_changed(home: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(1, 101):
        write_run(home, "groups", number)
    write_reports(home.child(f"runs/groups/{run_id(100)}"))
    read = Counter[str]()
    unwatched = Storage.read_bytes

    def watched(self: Storage, path: str) -> bytes:
        read[Path(path).name] += 1
        return unwatched(self, path)

    monkeypatch.setattr(Storage, "read_bytes", watched)
    exporter = Exporter.of([settings_of("groups")], home, AWAY, seconds=60)
    first = values(exporter)
    assert (first["discovery_run_folders"], read["manifest.json"], read["gate_lists.json"]) == (100, 100, 1)
    read.clear()
    assert values(exporter)["discovery_run_folders"] == 100
    assert not read
    write_run(home, "groups", 101, stages=("features",), failure="GateFailed: lists")
    write_reports(home.child(f"runs/groups/{run_id(100)}"), passed=False)
    found = values(exporter)
    assert (read["manifest.json"], read["gate_lists.json"]) == (1, 1)
    assert (found["discovery_run_last_failed"], found["discovery_gate_passed{lists,treatment}"]) == (1, 0)
    assert found["discovery_run_last_start_timestamp_seconds"] > first["discovery_run_last_start_timestamp_seconds"]
    assert (
        found["discovery_run_last_success_timestamp_seconds"] == first["discovery_run_last_success_timestamp_seconds"]
    )


def test_a_damaged_manifest_is_counted_and_the_others_are_read(home: Storage) -> None:
    write_run(home, "groups", 1)
    for number, content in ((2, b"{"), (3, b"[]"), (4, b"")):
        home.write_bytes(f"runs/groups/{run_id(number)}/manifest.json", content)
    changed = write_run(home, "groups", 5)
    changed.write_bytes("manifest.json", changed.read_bytes("manifest.json").replace(b"abc", b"abd"))
    home.write_bytes("runs/groups/being-made/inputs.json", b"{}")
    found = values(Exporter.of([settings_of("groups")], home, AWAY, seconds=60))
    assert (found["discovery_run_folders"], found["discovery_run_damaged_folders"]) == (5, 4)
    assert found["discovery_run_last_failed"] == 0


class Slow:
    """A source that hangs until it is let go."""

    def __init__(self) -> None:
        self.begun, self.go_on = 0, threading.Event()

    def read(self) -> Samples:
        self.begun += 1
        self.go_on.wait(600)
        yield Sample("discovery_run_folders", self.begun)

    def without(self, fault: Exception | None) -> Samples:
        assert fault is None
        yield from ()


def once_exported(name: str, exporter: Exporter) -> dict[str, float]:
    """The first scrape that has a series."""
    deadline = time.monotonic() + 180
    while name not in (found := values(exporter)):
        assert time.monotonic() < deadline
    return found


def test_a_source_that_hangs_is_not_waited_for_and_not_asked_again(home: Storage) -> None:
    slow, settings = Slow(), settings_of("groups")
    others = {**sources_of(settings, home, AWAY), "runs": slow}
    readers = [SourceReader("groups", name, source) for name, source in others.items()]
    exporter = Exporter(readers, seconds=2.0)
    for _ in range(2):
        found = once_exported("discovery_experiment_open", exporter)  # on a busy machine it may hang, too
        assert (found["discovery_export_source_up{runs}"], slow.begun) == (0, 1)
        assert "discovery_run_folders" not in found
        assert found["discovery_experiment_open"] == 0
    slow.go_on.set()
    found = once_exported("discovery_run_folders", exporter)
    assert found["discovery_run_folders"] == 2  # what came too late is not exported


def test_several_products_share_their_families(home: Storage) -> None:
    for number, product in enumerate(("groups", "music"), 1):
        write_run(home, product, number)
    products: list[Settings] = [settings_of("groups"), settings_of("music").model_copy(update={"schedule": None})]
    registry = Exporter.of(products, home, AWAY, seconds=60).registry
    text = generate_latest(registry).decode()
    assert text.count("# TYPE discovery_run_folders gauge") == 1
    assert 'discovery_run_folders{product="groups"} 1.0\ndiscovery_run_folders{product="music"} 1.0\n' in text
    assert 'discovery_run_period_seconds{product="groups"}' in text
    assert 'discovery_run_period_seconds{product="music"}' not in text


def test_only_labels_of_the_table_become_series() -> None:
    table = [Metric("discovery_run_x", "X", {"arm": ("a", "b")})]
    samples = [Sample("discovery_run_x", 1, {"arm": arm}) for arm in ("a", "user-7", "b")]
    (family,) = families(table, {"groups": samples})
    assert [one.labels for one in family.samples] == [{"product": "groups", "arm": arm} for arm in ("a", "b")]
    with pytest.raises(KeyError):
        list(families(table, {"groups": [Sample("discovery_run_y", 1)]}))
    assert len(ALL) > 90
