import logging
from threading import Thread

import pytest
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from conf.connections import KafkaConnection
from conf.settings import PublishSettings
from publish.connect.topics import check_partitions, check_topics, ensure_topics, warn_of_retention
from publish.errors import BrokerUnreachable, TopicMismatch
from publish.wire.keys import ProductKeys
from tests.publish.support.samples import closed_port

SETTINGS = PublishSettings(partitions=3, retention_hours=24 * 28)


def config_of(kafka: KafkaConnection, topic: str) -> dict[str, str]:
    resource = ConfigResource(ResourceType.TOPIC, topic)
    admin = AdminClient({"bootstrap.servers": kafka.servers})  # kept, or it would not answer
    entries = admin.describe_configs([resource])[resource].result()
    return {name: entry.value for name, entry in entries.items()}


def make(kafka: KafkaConnection, topic: str, partitions: int, config: dict[str, str]) -> None:
    new = NewTopic(topic, partitions, 1, config=config)
    admin = AdminClient({"bootstrap.servers": kafka.servers})
    admin.create_topics([new])[topic].result()


def test_topics_are_made_as_the_settings_say_and_found_the_next_time(kafka: KafkaConnection) -> None:
    keys = ProductKeys("topics_new")
    ensure_topics(kafka, keys, SETTINGS)
    ensure_topics(kafka, keys, SETTINGS)
    found = AdminClient({"bootstrap.servers": kafka.servers}).list_topics().topics
    compacted = (keys.pointer_topic, keys.runs_topic, keys.erasures_topic)
    names = (keys.topic, keys.dead_letter_topic, keys.exposures_topic, keys.history_topic, *compacted)
    assert [len(found[name].partitions) for name in names] == [3, 1, 3, 1, 1, 1, 1]
    policies = [config_of(kafka, name)["cleanup.policy"] for name in names]
    assert policies == ["delete", "delete", "delete", "delete", "compact", "compact", "compact"]
    assert config_of(kafka, keys.topic)["retention.ms"] == str(28 * 24 * 3_600_000)
    assert [config_of(kafka, keys.history_topic)[name] for name in ("retention.ms", "retention.bytes")] == ["-1", "-1"]


def test_two_publishers_may_make_them_at_once(kafka: KafkaConnection) -> None:
    failures: list[Exception] = []

    def ensure() -> None:
        try:
            ensure_topics(kafka, ProductKeys("topics_race"), SETTINGS)
        except (BrokerUnreachable, TopicMismatch) as error:
            failures.append(error)

    threads = [Thread(target=ensure) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_another_number_of_partitions_is_refused(kafka: KafkaConnection) -> None:
    make(kafka, "topics_count.topn.v1", 2, {})
    for check in (ensure_topics, check_topics, check_partitions):
        with pytest.raises(TopicMismatch, match=r"has 2 partitions, the settings say 3.*set it to 2") as caught:
            check(kafka, ProductKeys("topics_count"), SETTINGS)
        assert caught.value.exit_code == 2


def test_looking_at_topics_makes_none(kafka: KafkaConnection) -> None:
    for check in (check_topics, check_partitions):
        check(kafka, ProductKeys("topics_looked_for"), SETTINGS)
    found = AdminClient({"bootstrap.servers": kafka.servers}).list_topics().topics
    assert not [name for name in found if name.startswith("topics_looked_for")]


def test_a_compacted_topic_of_lists_is_refused(kafka: KafkaConnection) -> None:
    make(kafka, "topics_compact.topn.v1", 3, {"cleanup.policy": "compact"})
    for check in (ensure_topics, check_topics):
        with pytest.raises(TopicMismatch, match=r"cleanup\.policy=compact"):
            check(kafka, ProductKeys("topics_compact"), SETTINGS)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"retention.ms": "604800000"}, r"retention\.ms=604800000: records that are needed would vanish"),
        ({"retention.ms": "-1", "retention.bytes": "1000000"}, r"retention\.bytes=1000000.*set it to -1"),
        ({"retention.ms": "-1", "cleanup.policy": "compact"}, r"cleanup\.policy=compact.*set it to delete"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_a_history_that_would_forget_is_refused(kafka: KafkaConnection, config: dict[str, str], said: str) -> None:
    keys = ProductKeys(f"topics_forget_{'_'.join(config).replace('.', '_')}")
    make(kafka, keys.history_topic, 1, config)
    with pytest.raises(TopicMismatch, match=said):
        ensure_topics(kafka, keys, SETTINGS)


def test_another_retention_than_the_settings_say_is_told_with_the_command_that_alters_it(
    kafka: KafkaConnection, caplog: pytest.LogCaptureFixture
) -> None:
    keys, days = ProductKeys("topics_retention"), 24 * 3_600_000
    ensure_topics(kafka, keys, SETTINGS.model_copy(update={"retention_hours": 48}))
    warn_of_retention(kafka, keys, SETTINGS.model_copy(update={"retention_hours": 48}))
    assert caplog.messages == []
    for check in (ensure_topics, check_topics, warn_of_retention):
        caplog.clear()
        check(kafka, keys, SETTINGS)
        assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
        for said, topic in zip(caplog.messages, (keys.topic, keys.dead_letter_topic), strict=True):
            assert f"topic {topic} keeps messages 48 h, publish.retention_hours says 672 h" in said
            assert (
                f"kafka-configs.sh --bootstrap-server {kafka.servers} --alter --entity-type topics "
                f"--entity-name {topic} --add-config retention.ms={28 * days}"
            ) in said
    assert config_of(kafka, keys.topic)["retention.ms"] == str(2 * days)


def test_a_topic_that_keeps_everything_is_told(kafka: KafkaConnection, caplog: pytest.LogCaptureFixture) -> None:
    keys = ProductKeys("topics_for_ever")
    make(kafka, keys.topic, 3, {"retention.ms": "-1"})
    check_topics(kafka, keys, SETTINGS)
    (said,) = caplog.messages
    assert f"topic {keys.topic} keeps messages for ever, publish.retention_hours says 672 h" in said


def test_more_replicas_than_brokers_is_refused(kafka: KafkaConnection) -> None:
    settings = PublishSettings(partitions=1, replication=3)
    with pytest.raises(TopicMismatch, match="fewer than 3 brokers"):
        ensure_topics(kafka, ProductKeys("topics_replicas"), settings)


def test_no_broker_is_a_clear_error_in_time() -> None:
    with pytest.raises(BrokerUnreachable, match="KAFKA_BOOTSTRAP_SERVERS"):
        ensure_topics(
            KafkaConnection(servers=f"127.0.0.1:{closed_port()}"), ProductKeys("topics_none"), SETTINGS, timeout=1
        )
