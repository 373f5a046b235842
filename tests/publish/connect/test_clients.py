import time
import traceback

import pytest
import redis
from confluent_kafka import Consumer

from conf.connections import KafkaConnection, RedisConnection
from publish.connect.clients import check_broker, group_size
from publish.connect.redis_clients import explain, redis_client
from publish.errors import BrokerUnreachable, StoreUnreachable
from publish.wire.keys import ProductKeys
from tests.publish.support.pushing import new_product
from tests.publish.support.samples import closed_port

SECRET = "s3cr3t"


def test_bootstraps_are_masked() -> None:
    assert KafkaConnection(servers=f"eva:{SECRET}@a:1, b:2").address == "***@a:1,b:2"


def test_a_client_speaks_bytes(redis_url: str) -> None:
    with redis_client(RedisConnection.of(redis_url)) as client:
        client.set("k", b"\xff")
        assert client.get("k") == b"\xff"
        client.delete("k")


def test_a_store_that_does_not_answer_is_a_clear_error_without_secrets() -> None:
    url = f"redis://eva:{SECRET}@127.0.0.1:{closed_port()}/0"
    with pytest.raises(StoreUnreachable) as caught:
        redis_client(RedisConnection.of(url), timeout=0.5)
    shown = "".join(traceback.format_exception(caught.value))
    assert "REDIS_URL" in shown
    assert SECRET not in shown


def test_a_wrong_password_is_a_clear_error_without_secrets(redis_url: str) -> None:
    with redis_client(RedisConnection.of(redis_url)) as client:
        client.execute_command("ACL", "SETUSER", "tester", "on", ">right", "~*", "+@all")
        try:
            with pytest.raises(StoreUnreachable, match="user or password") as caught:
                redis_client(RedisConnection.of(redis_url.replace("redis://", f"redis://tester:{SECRET}@")))
        finally:
            client.execute_command("ACL", "DELUSER", "tester")
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_other_faults_show_their_code_and_not_their_arguments() -> None:
    text = explain(redis.ResponseError(f"WRONGTYPE of {SECRET}"))
    assert "WRONGTYPE" in text
    assert SECRET not in text


def test_a_broker_that_answers(kafka: KafkaConnection) -> None:
    check_broker(kafka)


def test_a_broker_that_does_not_answer_is_a_clear_error() -> None:
    with pytest.raises(BrokerUnreachable, match="KAFKA_BOOTSTRAP_SERVERS"):
        check_broker(KafkaConnection(servers=f"127.0.0.1:{closed_port()}"), timeout=1)


def test_a_group_without_members_is_told_from_one_with(kafka: KafkaConnection) -> None:
    group = f"group_size_{time.monotonic_ns()}"
    assert group_size(kafka, group) == 0
    consumer = Consumer({"bootstrap.servers": kafka.servers, "group.id": group})
    try:
        consumer.subscribe([ProductKeys(new_product(kafka)).topic])
        deadline = time.monotonic() + 180
        while not consumer.assignment():  # librdkafka may never end the close of a consumer that is still joining
            consumer.poll(0.1)
            assert time.monotonic() < deadline
        assert group_size(kafka, group) == 1
    finally:
        consumer.close()
