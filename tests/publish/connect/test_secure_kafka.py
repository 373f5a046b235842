"""A push through a broker that wants TLS, passwords and rights; what is missing is told at the start."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis
from confluent_kafka.admin import AclOperation

from conf.settings import PublishSettings
from jobs.exposures.landing import Landing
from jobs.exposures.position import position
from jobs.exposures.report import known_runs
from jobs.exposures.store import LandingStore
from jobs.storage.store import Storage
from publish.connect.clients import check_broker, group_size
from publish.connect.confirmed_sender import ConfirmedSender, KafkaPointerLog, Outgoing
from publish.connect.rights import Role
from publish.connect.topics import ensure_topics, warn_of_retention
from publish.connect.watermarks import watermarks
from publish.errors import BrokerUnreachable, DeliveryError
from publish.exposures.topic import ExposureTopic
from publish.operate.control import Control
from publish.operate.forget import Forgetter
from publish.operate.wait import RunEnding
from publish.runs.erasures import Erasure, ErasureLog
from publish.runs.history import kept_history
from publish.runs.registry import RunRegistry
from publish.runs.run_log import KafkaRunLog, kept_pointer, kept_runs
from publish.send.producer import send_begin, send_end, send_partitions
from publish.send.sender import Sender
from publish.store.redis_store import RedisStore
from publish.wire.keys import ProductKeys
from tests.features.world import settings
from tests.publish.support.certificates import Authority
from tests.publish.support.exposing import answer_for, log_of
from tests.publish.support.pushing import (
    PARTITIONS,
    announce,
    ending_of,
    eventually,
    expected,
    lists_of,
    loading,
    served,
)
from tests.publish.support.samples import batches_of
from tests.publish.support.secure_broker import LANDER, SecureBroker

PRODUCT = "secured"
USERS = 90


@pytest.fixture(scope="module")
def broker(secure_broker: SecureBroker) -> SecureBroker:
    secure_broker.grant(PRODUCT)
    return secure_broker


def test_a_push_with_the_rights_of_each_role(broker: SecureBroker, clean_redis: redis.Redis) -> None:
    publisher, loader, operator = (broker.connection(role) for role in (Role.PUBLISHER, Role.LOADER, Role.OPERATOR))
    keys = ProductKeys(PRODUCT)
    check_broker(loader)
    ensure_topics(loader, keys, PublishSettings(partitions=PARTITIONS))
    with loading(loader, clean_redis, PRODUCT):
        check_broker(publisher)
        ensure_topics(publisher, keys, PublishSettings(partitions=PARTITIONS))
        assert group_size(publisher, keys.loader_group) <= 1
        lists = lists_of(USERS)
        run = announce(clean_redis, PRODUCT, lists, first=True)
        KafkaRunLog(publisher).append(run)
        with Sender(keys.topic, publisher, delivery_timeout=30) as sender:
            send_begin(run, sender)
            batches = [(partition, [batch]) for partition, batch in enumerate(batches_of(lists, PARTITIONS))]
            send_end(run, send_partitions(batches, run, sender), sender)
        assert ending_of(clean_redis, run).ending is RunEnding.SERVING
        control = Control.connect(clean_redis, PRODUCT, log=KafkaPointerLog(operator))
        held = control.hold("a test")
        registry, store = RunRegistry(clean_redis, PRODUCT), RedisStore(clean_redis)
        erasures = ErasureLog(operator, PRODUCT)
        Forgetter(erasures, registry, store, ids="int64", partitions=PARTITIONS).forget(7, "asked for it")
        eventually(lambda: kept_pointer(operator, keys) == held)  # a loader that is late writes it again
    assert [found.run for found in kept_runs(publisher, keys)] == [run.run]
    assert [entry.rev for entry in kept_history(operator, keys).entries] == [1, 2]
    assert [erasure.user for erasure in ErasureLog(publisher, PRODUCT).read()] == ["7"]
    answers = served(clean_redis, PRODUCT, range(USERS))
    assert answers.pop(7)[1] == "fallback"
    assert answers.items() <= expected(run, lists).items()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"password": "kafka-password-of-nobody"}, "refuses the user or password"),
        ({"username": "stranger"}, "refuses the user or password"),
        ({"mechanism": "SCRAM-SHA-512"}, "KAFKA_SASL_MECHANISM"),
        ({"protocol": "SASL_PLAINTEXT", "ca_file": None}, "KAFKA_SECURITY_PROTOCOL"),
        ({"protocol": "PLAINTEXT", "mechanism": None, "username": None, "password": None, "ca_file": None}, "PROTOCOL"),
        ({"ca_file": None}, "KAFKA_SSL_CA_LOCATION"),
        ({"ca_file": "/nowhere/ca.pem"}, "KAFKA_SSL_"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_who_is_not_let_in_is_told_why(broker: SecureBroker, changes: dict[str, object], said: str) -> None:
    connection = broker.connection(Role.LOADER, **changes)
    with pytest.raises(BrokerUnreachable, match=said) as caught:
        check_broker(connection, timeout=10 if "protocol" in changes else 60)
    assert "kafka-password" not in str(caught.value)


def test_tls_to_a_plain_listener_is_told(broker: SecureBroker) -> None:
    with pytest.raises(BrokerUnreachable, match="KAFKA_SECURITY_PROTOCOL"):
        check_broker(broker.connection(Role.LOADER, servers=broker.bootstrap), timeout=10)


def test_another_authority_is_not_trusted(broker: SecureBroker, tmp_path: Path) -> None:
    other = Authority(tmp_path, "other").ca_file
    with pytest.raises(BrokerUnreachable, match="KAFKA_SSL_CA_LOCATION"):
        check_broker(broker.connection(Role.LOADER, ca_file=str(other)), timeout=60)


def test_a_missing_right_is_told(broker: SecureBroker) -> None:
    loader = broker.connection(Role.LOADER)
    with pytest.raises(BrokerUnreachable, match=r"does not allow this user .*docs/security\.md"):
        ensure_topics(loader, ProductKeys("of_others"), PublishSettings())
    with pytest.raises(BrokerUnreachable, match=r"does not allow this user .*group"):
        group_size(broker.connection(Role.READER), ProductKeys(PRODUCT).loader_group)


def test_another_retention_is_told_to_those_who_may_read_it_and_stops_nobody(
    broker: SecureBroker, caplog: pytest.LogCaptureFixture
) -> None:
    keys, longer = ProductKeys(PRODUCT), PublishSettings(partitions=PARTITIONS, retention_hours=1000)
    ensure_topics(broker.connection(Role.LOADER), keys, PublishSettings(partitions=PARTITIONS))

    def told(role: Role) -> list[str]:
        caplog.clear()
        warn_of_retention(broker.connection(role), keys, longer)
        return [said.partition(";")[0] for said in caplog.messages]

    said = "warning   topic {} keeps messages 840 h, publish.retention_hours says 1000 h"
    assert told(Role.OPERATOR) == [said.format(topic) for topic in (keys.topic, keys.dead_letter_topic)]
    assert told(Role.READER) == []
    broker.deny(Role.OPERATOR, keys.topic, AclOperation.DESCRIBE_CONFIGS)
    assert told(Role.OPERATOR) == [said.format(keys.dead_letter_topic)]


def test_the_job_cannot_write_pointers_and_the_loader_no_lists(broker: SecureBroker) -> None:
    keys = ProductKeys(PRODUCT)
    forged = (
        (Role.PUBLISHER, keys.pointer_topic),
        (Role.PUBLISHER, keys.history_topic),
        (Role.LOADER, keys.topic),
        (Role.READER, keys.topic),
    )
    for role, topic in forged:
        sender = ConfirmedSender(broker.connection(role), "test", timeout=60)
        with pytest.raises(DeliveryError):
            sender.send(topic, [Outgoing(b"forged", b"forged")])
        sender.close()


def test_readers_log_answers_and_the_lander_lands_them_with_nobody_elses_rights(
    broker: SecureBroker, tmp_path: Path
) -> None:
    reader, lander, operator = (broker.connection(role) for role in (Role.READER, LANDER, Role.OPERATOR))
    keys = ProductKeys(PRODUCT)
    ensure_topics(broker.connection(Role.LOADER), keys, PublishSettings(partitions=PARTITIONS))
    ErasureLog(operator, PRODUCT).append(Erasure(user="8", at=datetime.now(UTC), reason="asked for it"))
    with log_of(reader, PRODUCT) as log:
        for user in range(10, 30):
            log.log(answer_for(user))
        log.log(answer_for(8))
    assert log.delivered == 21
    check_broker(lander)
    ours = settings().model_copy(update={"product": PRODUCT})
    store = LandingStore.of(Storage(str(tmp_path)), PRODUCT)
    landed = Landing(store, lander, ours).land()
    assert (landed.found.landed, landed.found.erased) == (20, 1)
    known_runs(lander, PRODUCT)
    bounds = watermarks(lander, keys.exposures_topic, range(PARTITIONS))
    assert all(low == high for low, high in bounds.values()), "the forgotten user left the topic"
    standing = position(str(tmp_path), PRODUCT, operator)
    assert standing is not None
    assert standing.waiting == 0

    for role in (LANDER, Role.PUBLISHER, Role.LOADER, Role.OPERATOR):
        log = log_of(broker.connection(role), PRODUCT, delivery_timeout_seconds=5)
        log.log(answer_for(9))
        log.close(8)
        assert log.delivered == 0, role
    for role in (Role.READER, Role.PUBLISHER, Role.LOADER, Role.OPERATOR):
        with (
            ExposureTopic(broker.connection(role), keys.exposures_topic) as topic,
            pytest.raises(BrokerUnreachable, match="does not allow this user"),
        ):
            list(topic.read(0, 0, 10))
    with pytest.raises(BrokerUnreachable, match="does not allow this user"):
        ErasureLog(reader, PRODUCT).read()
