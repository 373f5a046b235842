"""The embedded servers, for real: they answer, keep their data, and leave nothing behind."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import redis
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from conf.connections import KafkaConnection
from deploy.servers import server as server_module
from deploy.servers.errors import FolderInUse, ServerNotRunning, ServerStartFailed
from deploy.servers.kafka_broker import KafkaBroker
from deploy.servers.ports import choose_ports, is_free
from deploy.servers.processes import is_alive, start_time
from deploy.servers.redis_server import RedisServer

MESSAGES = 1000


def send_acknowledged(bootstrap: str, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(180)
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all"})
    failures: list[object] = []
    for number in range(MESSAGES):
        producer.produce(topic, str(number), on_delivery=lambda error, _: failures.append(error) if error else None)
    assert producer.flush(180) == 0
    assert failures == []


def read_all(bootstrap: str, topic: str) -> list[int]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "reader", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, 0, 0)])
    messages = consumer.consume(MESSAGES, timeout=180)
    messages += consumer.consume(1, timeout=0.5)  # nothing may follow
    consumer.close()
    return [int(message.value() or b"") for message in messages]


def test_broker_keeps_acknowledged_messages_through_kill_and_leaves_nothing(tmp_path: Path) -> None:
    broker = KafkaBroker(tmp_path / "a folder, with = signs")
    broker.start()
    bootstrap, killed = broker.bootstrap, (broker.pid, start_time(broker.pid))
    send_acknowledged(bootstrap, "kept")
    broker.kill()
    assert not is_alive(*killed)

    broker.start()
    assert broker.bootstrap == bootstrap  # clients need not be told
    assert read_all(bootstrap, "kept") == list(range(MESSAGES))

    stopped = (broker.pid, start_time(broker.pid))
    broker.stop()
    assert not is_alive(*stopped)
    assert all(is_free(port) for port in broker.ports)
    assert not broker.is_running


def test_redis_keeps_acknowledged_writes_through_kill_and_restart(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        url = server.url
        with redis.Redis.from_url(url) as client:
            client.set("kept", "yes")
        server.kill()
        server.start()
        server.stop()
        server.start()
        assert server.url == url
        with redis.Redis.from_url(url) as client:
            assert client.get("kept") == b"yes"
        last = (server.pid, start_time(server.pid))
    assert not is_alive(*last)
    assert is_free(server.ports[0])


def test_redis_is_set_up_for_lookups(tmp_path: Path) -> None:
    wanted = {
        "bind": "127.0.0.1",
        "maxmemory": str(64 * 1024 * 1024),
        "maxmemory-policy": "noeviction",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "hash-max-ziplist-value": "4096",
        "hash-max-ziplist-entries": "512",
    }
    with RedisServer(tmp_path, maxmemory="64mb") as server, redis.Redis.from_url(server.url) as client:
        client.hset("bucket", "user", b"x" * 4096)
        assert client.object("encoding", "bucket") in (b"ziplist", b"listpack")
        assert {name: client.config_get(name)[name] for name in wanted} == wanted


def test_second_server_on_the_same_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_LET_GO_SECONDS", 0.2)
    with RedisServer(tmp_path) as first:
        with pytest.raises(FolderInUse, match=str(tmp_path)):
            RedisServer(tmp_path).start()
        assert first.is_running


def test_taken_port_is_replaced(tmp_path: Path) -> None:
    with RedisServer(tmp_path / "first") as first:
        (tmp_path / "second").mkdir()
        shutil.copy(tmp_path / "first" / "ports", tmp_path / "second" / "ports")
        with RedisServer(tmp_path / "second") as second:
            assert second.ports != first.ports


def test_ports_that_another_process_has_chosen_are_left_to_it(tmp_path: Path) -> None:
    chosen = choose_ports(tmp_path / "ports", 2)
    assert all(is_free(port) for port in chosen)
    (tmp_path / "copy").write_text((tmp_path / "ports").read_text())
    choose = (
        "import sys, pathlib; from deploy.servers.ports import *; print(*choose_ports(pathlib.Path(sys.argv[1]), 2))"
    )
    argv = [sys.executable, "-c", choose, str(tmp_path / "copy")]
    done = subprocess.run(argv, cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True)
    assert not {*map(int, done.stdout.split())} & {*chosen}
    assert choose_ports(tmp_path / "ports", 2) == chosen


def test_server_that_dies_shows_its_log(tmp_path: Path) -> None:
    (tmp_path / "appendonly.aof").write_text("this is no append-only file\n")
    server = RedisServer(tmp_path)
    with pytest.raises(ServerStartFailed, match=r"redis ended with exit code 1(.|\n)*Bad file format"):
        server.start()
    assert not server.is_running


def test_server_that_does_not_answer_in_time_is_ended(tmp_path: Path) -> None:
    server = KafkaBroker(tmp_path, start_seconds=0.1)
    with pytest.raises(ServerStartFailed, match=r"did not answer in 0\.1 s"):
        server.start()
    assert all(is_free(port) for port in server.ports)


def test_server_without_a_start_has_no_address(tmp_path: Path) -> None:
    with pytest.raises(ServerNotRunning, match="start it first"):
        _ = RedisServer(tmp_path).url


def test_session_servers_answer(kafka: KafkaConnection, redis_url: str, clean_redis: redis.Redis) -> None:
    assert len(AdminClient({"bootstrap.servers": kafka.servers}).list_topics(timeout=180).brokers) == 1
    assert clean_redis.dbsize() == 0
    assert redis_url.startswith("redis://127.0.0.1:")
