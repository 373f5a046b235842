"""Answers to log, and what the topic of exposures holds."""

import os
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

from conf.connections import KafkaConnection
from conf.exposures import ExposureSettings
from conf.settings import PublishSettings
from publish.connect.topics import ensure_topics
from publish.exposures.log import Counts, ExposureLog
from publish.exposures.message import Exposed, WriterCounts, decode_record
from publish.read.reader import Answer
from publish.wire.keys import ProductKeys
from publish.wire.messages import raw_bytes
from tests.publish.support.pushing import PARTITIONS, PATIENCE, messages_of

_PRODUCTS = count()
RUN = "20261116T030000Z-20261116-1"


def new_exposing_product(kafka: KafkaConnection, partitions: int = PARTITIONS) -> str:
    """A product of its own, whose topics exist."""
    product = f"exposing_{os.getpid()}_{time.time_ns() % 10**9}_{next(_PRODUCTS)}"
    ensure_topics(kafka, ProductKeys(product), PublishSettings(partitions=partitions), timeout=PATIENCE)
    return product


def answer_for(user: int | str, sources: Iterable[int | str] = (11, 12), **changes: Any) -> Answer:
    """A user's own list."""
    return Answer(user, "treatment", 10_000, RUN, "list", tuple(sources))._replace(**changes)


class PatientLog(ExposureLog):
    """A log that has all the time it needs to send what waits."""

    def close(self, timeout: float = PATIENCE) -> None:
        """Closes it."""
        super().close(timeout)


def log_of(kafka: KafkaConnection, product: str, **settings: Any) -> ExposureLog:
    """A log on a topic of PARTITIONS partitions."""
    return PatientLog(kafka, product, ExposureSettings(**settings))


def records_in(kafka: KafkaConnection, product: str) -> list[Exposed | WriterCounts]:
    """Every record of the topic, decoded."""
    topic = ProductKeys(product).exposures_topic
    return [
        decode_record(raw_bytes(message.key()), raw_bytes(message.value()), "int64", product)
        for partition in range(PARTITIONS)
        for message in messages_of(kafka, topic, partition)
    ]


def exposures_in(kafka: KafkaConnection, product: str) -> list[Exposed]:
    """The exposures among them, by writer and number."""
    found = [record for record in records_in(kafka, product) if isinstance(record, Exposed)]
    return sorted(found, key=lambda record: (record.writer, record.seq))


def last_words_in(kafka: KafkaConnection, product: str) -> list[WriterCounts]:
    """The last records of writers that stopped."""
    return [record for record in records_in(kafka, product) if isinstance(record, WriterCounts) and record.closed]


def holds(counts: Counts) -> bool:
    """Whether nothing is counted twice and nothing is forgotten."""
    return counts.logged == counts.delivered + sum(counts.dropped.values()) + counts.waiting


@contextmanager
def watching(log: ExposureLog) -> Iterator[list[Counts]]:
    """Looks at the counts all the time, on a thread of its own; yields the looks at which the sum did not hold."""
    wrong: list[Counts] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.0005):
            if not holds(counts := log.counts()):
                wrong.append(counts)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield wrong
    finally:
        over.set()
        thread.join()
