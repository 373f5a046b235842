"""The topic of exposures becomes files: each answer once, whatever happens to the topic; what is missing is told."""

import datetime as dt
import multiprocessing
import os
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from conf import contract
from conf.connections import KafkaConnection
from conf.settings import PublishSettings
from jobs.exposures.report import Report
from jobs.exposures.store import STATE, Damaged, LandingStore, LandingUnderWay
from jobs.storage.store import Storage
from publish.connect.topics import ensure_topics
from publish.connect.watermarks import watermarks
from publish.exposures.message import writer_name
from publish.wire.keys import ProductKeys
from tests.jobs.exposures.conftest import Land
from tests.jobs.exposures.world import NOW, WRITER, exposure, rows_of, send, three_days, told, tree_of, users_of
from tests.publish.support.exposing import RUN, answer_for, log_of
from tests.publish.support.pushing import PARTITIONS, PATIENCE, eventually


def test_each_answer_is_landed_once_under_its_day(
    kafka: KafkaConnection, product: str, land: Land, store: LandingStore
) -> None:
    send(kafka, product, three_days())
    landed = land()
    assert (landed.found.landed, landed.batches, landed.lag, landed.losses) == (60, 1, 0, ())
    rows = rows_of(store)
    assert [row["user_id"] for row in rows] == list(range(60))
    assert {row["user_id"] % 3: row["day"] for row in rows} == {0: "2026-11-18", 1: "2026-11-19", 2: "2026-11-20"}
    assert rows[7] == {
        **{"user_id": 7, "surface": "feed", "kind": "list", "arm": "treatment", "share_bp": 10_000, "run": RUN},
        **{"source_ids": [71, 72], "writer": writer_name(WRITER), "seq": 7, "partition": rows[7]["partition"]},
        **{"offset": rows[7]["offset"], "ts": NOW - dt.timedelta(days=1), "day": "2026-11-19"},
    }
    assert store.read_table(store.files("dt=2026-11-19")[0]).schema == contract.exposures("int64")
    assert [store.is_marked(day) for day in store.days()] == [True, True, False]
    writer = landed.state.writers[writer_name(WRITER)]
    assert (writer.missing, writer.closed, writer.logged) == (0, True, 60)
    before = tree_of(store)
    again = land()
    assert (again.batches, again.found.landed) == (0, 0)
    assert tree_of(store) == before


def test_what_comes_later_goes_into_further_files_and_late_answers_into_their_day(
    kafka: KafkaConnection, product: str, land: Land, store: LandingStore
) -> None:
    send(kafka, product, three_days())
    land()
    before = tree_of(store)
    send(kafka, product, [exposure(100, 60, days_ago=2), exposure(101, 61)])
    assert land().found.landed == 2
    assert users_of(store)[60:] == [100, 101]
    assert rows_of(store)[60]["day"] == "2026-11-18"
    assert {path: tree_of(store)[path] for path in before if path.startswith("dt=")}.items() <= before.items()


def test_small_batches_land_the_same_answers(
    kafka: KafkaConnection, product: str, land: Land, store: LandingStore
) -> None:
    send(kafka, product, three_days())
    landed = land(batch_records=7)
    assert landed.found.landed == 60
    assert landed.batches > 2
    assert users_of(store) == list(range(60))
    assert landed.state.writers[writer_name(WRITER)].missing == 0


def test_what_a_real_log_writes(kafka: KafkaConnection, product: str, land: Land, store: LandingStore) -> None:
    with log_of(kafka, product) as log:
        for user in range(50):
            log.log(answer_for(user))
        log.log(answer_for(50, (), run=None, kind="control", arm="control"))
        log.log(answer_for(51), "Not A Surface")
    landed = land(clock=dt.datetime.now(dt.UTC))
    assert landed.found.landed == log.delivered == 51
    assert rows_of(store)[50]["run"] is None
    writer = landed.state.writers[log.writer]
    assert (writer.missing, writer.dropped, writer.closed) == (1, {"malformed": 1}, True)
    assert sum(cell.answers for cell in landed.state.cells if cell.kind == "control") == 1


def test_a_killed_process_is_told_with_the_most_that_it_may_have_taken_along(
    kafka: KafkaConnection, product: str, land: Land, store: LandingStore
) -> None:
    dead, living = 0xD, 0xE
    send(kafka, product, [exposure(1, 0, writer=dead, days_ago=1), exposure(2, 3, writer=dead, days_ago=1)])
    send(kafka, product, [told(5, writer=dead, days_ago=1), exposure(3, 0, writer=living)])
    report = Report(store, (landed := land()).state, 0, {RUN}, landed)
    assert {name: (one.missing, one.queue) for name, one in report.silent.items()} == {writer_name(dead): (3, 100)}
    assert "1 at work, 0 closed, 1 silent" in report.text()
    assert "killed? at most 100 of its answers are uncounted" in report.text()
    assert report.data()["missing_by_writer"] == {writer_name(dead): 3}
    assert report.exit_code == 0


def test_runs_that_nobody_announced_are_landed_and_named(
    kafka: KafkaConnection, product: str, land: Land, store: LandingStore
) -> None:
    send(kafka, product, [exposure(1, 0), exposure(2, 1, run="of-nobody"), exposure(3, 2, run=None, kind="none")])
    landed = land()
    report = Report(store, landed.state, 0, {RUN}, landed)
    assert users_of(store) == [1, 2, 3]
    assert report.unknown == {"of-nobody": 1}
    assert "runs that nobody announced, landed all the same: of-nobody (1)" in report.text()


def test_duplicates_are_left_out_and_counted(
    kafka: KafkaConnection, product: str, land: Land, store: LandingStore
) -> None:
    send(kafka, product, [exposure(1, 0), exposure(1, 0), exposure(2, 1)])
    assert (land().found.landed, land().state.totals.duplicates) == (2, 1)
    send(kafka, product, [exposure(2, 1), exposure(1, 2)])
    again = land()
    assert (again.found.landed, again.found.duplicates) == (1, 1)
    assert [(row["user_id"], row["seq"]) for row in rows_of(store)] == [(1, 0), (2, 1), (1, 2)]


def test_records_that_cannot_be_read_are_kept_aside(
    kafka: KafkaConnection, product: str, land: Land, store: LandingStore
) -> None:
    _, key, value = exposure(7, 0)
    bad = [(0, b"8", value), (1, key, None), (2, None, b"x"), (0, b"9", b"\xff"), exposure(5, 9, days_ago=-2)]
    send(kafka, product, [*bad, exposure(1, 1)])
    landed = land()
    assert (landed.found.landed, landed.found.unusable) == (1, 5)
    assert Report(store, landed.state, 0, {RUN}, landed).exit_code == 4
    kept = [
        row
        for folder in store.folders()
        if "_unusable" in folder
        for path in store.files(folder)
        for row in store.read_table(path).to_pylist()
    ]
    assert {row["reason"] for row in kept} >= {"is about another user than its key", "null key", "ts is in the future"}
    assert (b"8", value) in {(row["key"], row["value"]) for row in kept}
    assert land().found.unusable == 0


def delete_before(kafka: KafkaConnection, product: str, offset: int) -> None:
    topic, admin = ProductKeys(product).exposures_topic, AdminClient({"bootstrap.servers": kafka.servers})
    places = [TopicPartition(topic, partition, offset) for partition in range(PARTITIONS)]
    for future in admin.delete_records(places).values():
        future.result(180)


def test_a_topic_that_was_emptied_is_told_with_what_is_gone(
    kafka: KafkaConnection, product: str, land: Land, store: LandingStore
) -> None:
    send(kafka, product, [exposure(user, user) for user in range(30)])
    land()
    send(kafka, product, [exposure(user, user) for user in range(30, 60)])
    delete_before(kafka, product, -1)
    send(kafka, product, [exposure(60, 60)])
    landed = land()
    assert sum(loss.answers or 0 for loss in landed.losses) == 30
    assert {loss.kind for loss in landed.losses} == {"retention"}
    assert users_of(store) == [*range(30), 60]
    assert landed.state.writers[writer_name(WRITER)].missing == 30
    report = Report(store, landed.state, 0, {RUN}, landed)
    assert report.exit_code == 4
    assert "records were deleted from the topic before they were landed" in report.text()
    again = land()
    assert (again.losses, again.batches) == ((), 0)


def test_retention_that_overtakes_is_counted_exactly(
    kafka: KafkaConnection, product: str, land: Land, store: LandingStore
) -> None:
    send(kafka, product, [exposure(user, user) for user in range(60)])
    delete_before(kafka, product, 5)
    landed = land()
    assert [(loss.partition, loss.answers) for loss in landed.losses] == [(0, 5), (1, 5), (2, 5)]
    assert landed.found.landed == 45


def test_a_topic_that_was_made_anew_is_read_from_its_beginning(
    kafka: KafkaConnection, product: str, land: Land, store: LandingStore
) -> None:
    send(kafka, product, [exposure(user, user) for user in range(30)])
    land()
    make_anew(kafka, product)
    send(kafka, product, [exposure(user, user) for user in range(35, 45)])
    landed = land()
    assert [(loss.kind, loss.answers) for loss in landed.losses] == [("recreated", None)]
    assert users_of(store) == [*range(30), *range(35, 45)]
    assert landed.state.writers[writer_name(WRITER)].missing == 5
    assert Report(store, landed.state, 0, {RUN}, landed).exit_code == 4
    assert land().losses == ()


def make_anew(kafka: KafkaConnection, product: str) -> None:
    topic, admin = ProductKeys(product).exposures_topic, AdminClient({"bootstrap.servers": kafka.servers})
    admin.delete_topics([topic])[topic].result(180)
    eventually(lambda: topic not in admin.list_topics().topics)
    ensure_topics(kafka, ProductKeys(product), PublishSettings(partitions=PARTITIONS), timeout=PATIENCE)


def test_old_days_are_deleted_and_their_counts(
    kafka: KafkaConnection, product: str, land: Land, store: LandingStore
) -> None:
    send(kafka, product, three_days())
    land()
    landed = land(clock=NOW + dt.timedelta(days=9))
    assert [str(day) for day in store.days()] == ["2026-11-19", "2026-11-20"]
    send(kafka, product, [exposure(1, 60, days_ago=-8.9)])
    landed = land(clock=NOW + dt.timedelta(days=9))
    assert {str(cell.day) for cell in landed.state.cells} == {"2026-11-19", "2026-11-20", "2026-11-29"}
    landed = land(clock=NOW + dt.timedelta(days=30))
    assert store.days() == ()


def test_writers_that_are_long_gone_are_counted_and_no_longer_listed(
    kafka: KafkaConnection, product: str, land: Land
) -> None:
    send(kafka, product, [exposure(1, 4, writer=0xF)])
    land()
    send(kafka, product, [exposure(1, 0, days_ago=-20)])
    landed = land(clock=NOW + dt.timedelta(days=20))
    assert set(landed.state.writers) == {writer_name(WRITER)}
    assert (landed.state.totals.former_writers, landed.state.totals.former_missing) == (1, 4)


def test_only_one_lands_at_a_time(kafka: KafkaConnection, product: str, land: Land, store: LandingStore) -> None:
    with store.locked():
        with pytest.raises(LandingUnderWay) as refused:
            land()
        assert refused.value.exit_code == 75
    assert land().batches == 0


def test_a_process_that_dies_lets_go_of_the_lock(store: LandingStore) -> None:
    def hold() -> None:
        with store.locked():
            multiprocessing.current_process().kill()

    child = multiprocessing.get_context("fork").Process(target=hold)
    child.start()
    child.join()
    with store.locked():
        pass


def test_the_lock_of_an_object_store_is_a_file_with_owner_and_time(
    store: LandingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.exposures.store._SETTLE_SECONDS", 0)
    monkeypatch.setattr(Storage, "local_path", None)
    path = Path(store.at.uri) / "_landing" / "lock"
    with store.locked():
        store.keep_lock()
        with pytest.raises(LandingUnderWay), store.locked():
            pass
        path.write_text("somebody who held us for dead")
        with pytest.raises(LandingUnderWay):
            store.keep_lock()
    path.write_text("somebody who was killed")
    with pytest.raises(LandingUnderWay), store.locked():
        pass
    os.utime(path, (1, 1))
    with store.locked():
        pass
    assert not path.exists()


def test_a_state_that_is_gone_or_damaged_stops_the_landing(
    kafka: KafkaConnection, product: str, land: Land, store: LandingStore
) -> None:
    send(kafka, product, three_days())
    land()
    state = store.at.read_bytes(STATE)
    store.at.write_bytes(STATE, b"{}}")
    with pytest.raises(Damaged, match=r"state\.json cannot be read"):
        land()
    store.at.delete(STATE)
    with pytest.raises(Damaged, match="nobody knows what was landed") as gone:
        land()
    assert gone.value.exit_code == 2
    store.at.write_bytes(STATE, state)
    assert land().batches == 0


def test_what_was_landed_can_be_deleted_from_the_topic_at_once(
    kafka: KafkaConnection, product: str, land: Land, store: LandingStore
) -> None:
    send(kafka, product, three_days())
    land(exposures={"purge": "landed"})
    assert kept_records(kafka, product) == 0
    send(kafka, product, [exposure(100, 60)])
    again = land()
    assert (again.losses, again.found.landed) == ((), 1)
    assert kept_records(kafka, product) == 1


def kept_records(kafka: KafkaConnection, product: str) -> int:
    topic = ProductKeys(product).exposures_topic
    return sum(high - low for low, high in watermarks(kafka, topic, range(PARTITIONS)).values())
