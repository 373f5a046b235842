"""Answers of three days as they lie in the topic, and what was landed of them."""

import datetime as dt
from collections.abc import Iterable
from typing import Any

from confluent_kafka import Producer

from conf.connections import KafkaConnection
from conf.ids import partition_of
from jobs.exposures.store import LandingStore
from publish.exposures.message import WRITER_KEY, WriterCounts, encode_exposure, encode_writer, writer_name
from publish.wire.keys import ProductKeys
from tests.publish.support.exposing import answer_for
from tests.publish.support.pushing import PARTITIONS

NOW = dt.datetime(2026, 11, 20, 12, 0, tzinfo=dt.UTC)
WRITER = 0xABC
Record = tuple[int, bytes | None, bytes | None]
"""Partition, key and value."""


def at(days_ago: float) -> int:
    """A time so many days before NOW, in milliseconds."""
    return int((NOW - dt.timedelta(days=days_ago)).timestamp() * 1000)


def exposure(
    user: int, seq: int, *, days_ago: float = 0.0, writer: int = WRITER, surface: str = "feed", **changes: Any
) -> Record:
    """The record of one answer."""
    answer = answer_for(user, (user * 10 + 1, user * 10 + 2), **changes)
    return (partition_of(user, PARTITIONS), *encode_exposure(answer, surface, at(days_ago), writer, seq))


def told(logged: int, *, closed: bool = False, days_ago: float = 0.0, writer: int = WRITER, **dropped: int) -> Record:
    """The record of what a writer says of itself."""
    return 0, WRITER_KEY, encode_writer(WriterCounts(writer_name(writer), at(days_ago), logged, dropped, 100, closed))


def three_days(users: int = 60) -> list[Record]:
    """Answers to users 0 … users − 1, a third of them on each of three days, and the writer's last record."""
    return [
        *(exposure(user, user, days_ago=2 - user % 3) for user in range(users)),
        told(users, closed=True),
    ]


def send(kafka: KafkaConnection, product: str, records: Iterable[Record]) -> None:
    """Puts records into the topic as they are."""
    producer = Producer({"bootstrap.servers": kafka.servers})
    for partition, key, value in records:
        producer.produce(ProductKeys(product).exposures_topic, key=key, value=value, partition=partition)
    assert producer.flush(180) == 0


def rows_of(store: LandingStore) -> list[dict[str, Any]]:
    """Every landed answer, by writer and number."""
    paths = [path for folder in store.folders() if folder.startswith("dt=") for path in store.files(folder)]
    rows = [{**row, "day": path[3:13]} for path in paths for row in store.read_table(path).to_pylist()]
    return sorted(rows, key=lambda row: (row["writer"], row["seq"]))


def users_of(store: LandingStore) -> list[int]:
    """The users of every landed answer."""
    return [row["user_id"] for row in rows_of(store)]


def tree_of(store: LandingStore) -> dict[str, bytes]:
    """Every file below the store with its content, except for the lock."""
    return {path: store.at.read_bytes(path) for path, _ in store.at.tree("") if not path.endswith("lock")}
