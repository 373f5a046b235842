"""The floor of `publish` and `serve`: the lists are read, and their records go to a bare Kafka and a bare Redis.

Both get the bytes of the run: the same keys, values, partitions and hashes.
"""

from collections.abc import Iterator, Sequence
from itertools import count, groupby
from typing import NamedTuple

import redis
from confluent_kafka import KafkaError, Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # re-exported without saying so

from benchmarks.floors.finished_run import FinishedRun
from benchmarks.floors.floor import Floor, best_seconds
from benchmarks.publish.yardsticks import YardstickFailed
from publish.send.snapshot import by_partition, read_partition
from publish.wire.keys import Layout
from publish.wire.record_rows import pack_rows

_AT_ONCE = 500
"""Lists in one pipeline."""


class _Records(NamedTuple):
    """Consecutive records of one partition."""

    partition: int
    keys: list[bytes]
    values: list[bytes]
    """For Kafka."""
    payloads: list[bytes]
    """For Redis."""


def publishing_floor(run: FinishedRun, kafka: str, store: str) -> Floor:
    """Returns the seconds to read the lists, and to send them to the slower of a broker and a Redis (its URL).

    The order and the encoding of the records are not counted.
    """
    settings, table = run.settings, run.table("lists")
    layout = Layout.plan(
        settings.product, settings.publish.partitions, table.count_rows(), settings.publish.users_per_bucket
    )
    records = list(_records(run, layout))
    servers = {
        "Kafka, bare producer": _send_seconds(records, kafka, layout),
        "Redis, pipelined HSET": _store_seconds(records, store, layout),
    }
    slower = max(servers, key=lambda name: servers[name])
    reading = best_seconds(table.to_table)
    return Floor(("publish", "serve"), {"reading": reading, slower: servers.pop(slower)}, servers)


def _records(run: FinishedRun, layout: Layout) -> Iterator[_Records]:
    for partition, batches in by_partition(run.table("snapshot").to_batches()):
        for part in read_partition(batches, partition, layout, run.settings.ids):
            yield _Records(partition, part.keys, pack_rows(1, part.first_seq, part.keys, part.payloads), part.payloads)


def _send_seconds(records: Sequence[_Records], kafka: str, layout: Layout) -> float:
    """Returns the seconds until every record is acknowledged. Raises YardstickFailed if one is not."""
    topic, faults = f"{layout.topic}.floor", list[KafkaError | None]()
    admin = AdminClient({"bootstrap.servers": kafka})
    admin.create_topics([NewTopic(topic, layout.partitions, 1)])[topic].result()
    producer = Producer(
        {
            "bootstrap.servers": kafka,
            "enable.idempotence": True,
            "acks": "all",
            "linger.ms": 5,
            "delivery.report.only.error": True,
            "log_level": 3,  # the first registration of a producer is refused and repeated
            "queue.buffering.max.messages": 0,  # no limit
            "queue.buffering.max.kbytes": 2**31 - 1,
        }
    )
    producer.produce(topic, b"", partition=0)
    producer.flush()  # the broker takes half a second to register a producer

    def send() -> None:
        for partition, keys, values, _ in records:
            rows = [{"key": key, "value": value} for key, value in zip(keys, values, strict=True)]
            producer.produce_batch(topic, rows, partition=partition, on_delivery=lambda fault, _: faults.append(fault))
            producer.poll(0)
        producer.flush()

    seconds = best_seconds(send)
    if faults:
        raise YardstickFailed(f"{topic} at {kafka}: {len(faults):,} records are not acknowledged, first: {faults[0]}")
    return seconds


def _store_seconds(records: Sequence[_Records], store: str, layout: Layout) -> float:
    hashes, rounds = list(_hashes(records, layout)), count()
    with redis.Redis.from_url(store, socket_timeout=60) as client:

        def fill() -> None:
            run, pipe, waiting = f"floor-{next(rounds)}", client.pipeline(transaction=False), 0
            for partition, bucket, words in hashes:
                pipe.execute_command("HSET", layout.bucket(run, partition, bucket), *words)
                waiting += len(words) // 2
                if waiting >= _AT_ONCE:
                    pipe.execute()
                    waiting = 0
            pipe.execute()

        return best_seconds(fill)


def _hashes(records: Sequence[_Records], layout: Layout) -> Iterator[tuple[int, int, list[bytes]]]:
    """Yields partition and bucket of each hash, and its users and lists in turns, in the order of the records."""
    rows = ((key, payload) for some in records for key, payload in zip(some.keys, some.payloads, strict=True))
    for place, lists in groupby(rows, key=lambda row: layout.place_of_key(row[0])):
        yield *place, [word for row in lists for word in row]
