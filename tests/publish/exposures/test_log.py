"""The log of answers: it holds nobody up, and what becomes of each answer is counted."""

import os
import threading
from pathlib import Path

import pytest

from conf.connections import KafkaConnection
from conf.ids import partition_of
from deploy.servers.kafka_broker import KafkaBroker
from publish.exposures.log import Counts, Drop
from publish.wire.keys import ProductKeys
from tests.publish.support.exposing import (
    answer_for,
    exposures_in,
    holds,
    last_words_in,
    log_of,
    new_exposing_product,
    records_in,
    watching,
)
from tests.publish.support.pushing import PARTITIONS, eventually, messages_of
from tests.publish.support.samples import closed_port


@pytest.fixture
def product(kafka: KafkaConnection) -> str:
    return new_exposing_product(kafka)


def nowhere() -> KafkaConnection:
    return KafkaConnection(servers=f"127.0.0.1:{closed_port()}")


def nothing_dropped(**but: int) -> dict[str, int]:
    return {**dict.fromkeys(map(str, Drop), 0), **but}


def test_every_answer_is_in_the_topic_once_in_its_partition(kafka: KafkaConnection, product: str) -> None:
    answers = [answer_for(user, range(user % 60)) for user in range(500)]
    with log_of(kafka, product) as log, watching(log) as wrong:
        for answer in answers:
            log.log(answer, "feed")
    assert wrong == []
    assert log.counts() == Counts(500, 500, nothing_dropped(), 0)
    found = exposures_in(kafka, product)
    assert [record.seq for record in found] == list(range(500))
    assert {record.writer for record in found} == {log.writer}
    assert [(r.user_id, r.source_ids, r.surface, r.kind) for r in found] == [
        (answer.user_id, answer.source_ids, "feed", "list") for answer in answers
    ]
    (last,) = last_words_in(kafka, product)
    assert (last.writer, last.logged, last.dropped, last.queue) == (log.writer, 500, {}, 10_000)
    for partition in range(PARTITIONS):
        keys = [message.key() or b"" for message in messages_of(kafka, ProductKeys(product).exposures_topic, partition)]
        assert {partition_of(key.decode(), PARTITIONS) for key in keys if key} == {partition}


def test_answers_without_a_list_are_logged_as_well(kafka: KafkaConnection, product: str) -> None:
    with log_of(kafka, product) as log:
        log.log(answer_for(1, (), run=None, kind="control", arm="control", share_bp=2_500))
        log.log(answer_for(2, (), run=None, kind="none"))
    control, none = exposures_in(kafka, product)
    assert (control.kind, control.arm, control.run, control.source_ids) == ("control", "control", None, ())
    assert (control.share_bp, control.surface) == (2_500, "default")
    assert (none.kind, none.arm, none.run) == ("none", "treatment", None)


def test_many_threads_count_as_one(kafka: KafkaConnection, product: str) -> None:
    def answer(first: int) -> None:
        for user in range(first, first + 300):
            log.log(answer_for(user))

    with log_of(kafka, product, queue=500) as log, watching(log) as wrong:
        threads = [threading.Thread(target=answer, args=(number * 300,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []
    counts = log.counts()
    assert (counts.logged, counts.waiting) == (1_800, 0)
    found = exposures_in(kafka, product)
    assert len(found) == len({record.seq for record in found}) == counts.delivered
    assert counts.delivered + counts.dropped["queue_full"] == 1_800


def test_a_broker_that_is_away_costs_answers_but_no_look_up() -> None:
    log = log_of(nowhere(), "nobody", queue=100, delivery_timeout_seconds=3_600)
    with watching(log) as wrong:
        for user in range(300):
            log.log(answer_for(user))
        assert log.counts().dropped["queue_full"] == 200
        assert log.waiting == 100
        log.close(0.5)
        log.log(answer_for(1))
    assert wrong == []
    assert log.counts() == Counts(301, 0, nothing_dropped(queue_full=200, closed=101), 0)


def test_answers_that_nobody_acknowledges_in_time_are_counted() -> None:
    log = log_of(nowhere(), "nobody", delivery_timeout_seconds=1)
    with watching(log) as wrong:
        for user in range(100):
            log.log(answer_for(user))
        eventually(lambda: log.counts().dropped["not_acknowledged"] == 100)
        log.close(0.5)
    assert wrong == []
    assert log.counts() == Counts(100, 0, nothing_dropped(not_acknowledged=100), 0)
    assert holds(log.counts())


def test_a_broker_that_comes_back_gets_what_waits_and_the_rest_is_counted(tmp_path: Path) -> None:
    with KafkaBroker(tmp_path) as broker:
        kafka = KafkaConnection(servers=broker.bootstrap)
        product = new_exposing_product(kafka)
        log = log_of(kafka, product, queue=50, delivery_timeout_seconds=3_600)
        with watching(log) as wrong:
            for user in range(40):
                log.log(answer_for(user))
            eventually(lambda: log.delivered == 40)
            broker.kill()
            for user in range(80):
                log.log(answer_for(user))
            assert (log.waiting, log.dropped["queue_full"]) == (50, 30)
            broker.start()
            eventually(lambda: log.delivered == 90)
            log.close()
        assert wrong == []
        assert log.counts() == Counts(120, 90, nothing_dropped(queue_full=30), 0)
        assert [record.seq for record in exposures_in(kafka, product)] == list(range(90))
        (last,) = last_words_in(kafka, product)
        assert (last.logged, last.dropped) == (120, {"queue_full": 30})


def test_what_cannot_be_encoded_is_counted_and_does_no_harm(kafka: KafkaConnection, product: str) -> None:
    with log_of(kafka, product) as log:
        log.log(answer_for(1), "Not A Surface")
        log.log(None)  # type: ignore[arg-type]
        log.log(answer_for(2, [2**70]))
        log.log(answer_for("\ud800"))
        log.log(answer_for(3))
    assert log.counts() == Counts(5, 1, nothing_dropped(malformed=4), 0)
    assert [record.seq for record in exposures_in(kafka, product)] == [4]


def test_a_topic_that_is_not_there_is_counted(kafka: KafkaConnection) -> None:
    log = log_of(kafka, "never_made", delivery_timeout_seconds=1)
    log.log(answer_for(1))
    eventually(lambda: log.dropped["not_acknowledged"] == 1)
    log.close(1)


def test_settings_that_librdkafka_refuses_are_told_and_every_answer_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    refused = KafkaConnection(servers="127.0.0.1:1", protocol="SSL", ca_file="/nowhere/ca.pem")
    log = log_of(refused, "refused", queue=2)
    for user in range(3):
        log.log(answer_for(user))
    eventually(lambda: "librdkafka refuses the settings" in caplog.text)
    log.close(0.2)
    assert log.counts() == Counts(3, 0, nothing_dropped(queue_full=1, closed=2), 0)


def test_drops_are_told_once_in_a_while(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    log = log_of(nowhere(), "told", queue=1)
    with monkeypatch.context() as patch:
        patch.setattr(log, "_start", lambda: None)  # or it might tell of the first before the last has come
        for user in range(5):
            log.log(answer_for(user))
    log._start()
    eventually(lambda: "told.exposures.v1: 4 of 5 answers were not logged so far (queue_full 4)" in caplog.text)
    log.close(0.1)
    assert caplog.text.count("were not logged so far") == 1


def test_counts_are_sent_while_it_runs(kafka: KafkaConnection, product: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("publish.exposures.log._COUNTS_SECONDS", 0.2)
    with log_of(kafka, product) as log:
        log.log(answer_for(1))
        eventually(lambda: log.delivered == 1)
        eventually(lambda: len(records_in(kafka, product)) > 2)
    assert last_words_in(kafka, product)[0].logged == 1


def test_a_forked_child_is_another_writer_with_a_producer_of_its_own(kafka: KafkaConnection, product: str) -> None:
    log = log_of(kafka, product)
    log.log(answer_for(1))
    eventually(lambda: log.delivered == 1)
    with log._lock:  # as if another thread were counting at that moment
        child = os.fork()
    if child == 0:
        code = 1
        try:
            begun = log.counts()
            log.log(answer_for(2))
            log.close()
            code = 0 if (begun.logged, log.delivered) == (0, 1) else 2
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    log.log(answer_for(3))
    log.close()
    found = exposures_in(kafka, product)
    assert sorted((record.user_id, record.seq) for record in found) == [(1, 0), (2, 0), (3, 1)]
    assert len({record.writer for record in found}) == 2
    assert len(last_words_in(kafka, product)) == 2


def test_closing_twice_or_unused_is_nothing(kafka: KafkaConnection, product: str) -> None:
    log = log_of(kafka, product)
    log.close()
    log.close()
    log.log(answer_for(1))
    assert log.counts() == Counts(1, 0, nothing_dropped(closed=1), 0)
    assert records_in(kafka, product) == []
