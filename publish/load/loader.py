"""Loads a topic into Redis: a service that runs alone or beside others that share the partitions.

Positions are kept in Redis, not in Kafka: on every assignment, and after every error, loading starts from Redis'
position. So there is one way to recover from anything: drop the state in memory, wait a little, read Redis' position.
Errors of Redis and Kafka are waited out while the group membership is kept alive; no record is blamed for them.
"""

import logging
import signal
import threading
import time
from itertools import groupby

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, TopicPartition
from redis.backoff import EqualJitterBackoff

from conf.connections import KafkaConnection
from publish.author import service
from publish.connect.clients import broker_unreachable, kafka_settings
from publish.connect.confirmed_sender import ConfirmedSender, KafkaPointerLog
from publish.connect.redis_clients import StoreClient
from publish.connect.topic_identity import TopicIdentity, TopicInspector
from publish.errors import PublishError
from publish.load.dead_letter_writer import DeadLetterQueue
from publish.load.load_partition import PartitionLoader, PositionMoved
from publish.load.loader_metrics import LoaderMetrics
from publish.load.loader_tools import Tools
from publish.load.periodic_tasks import PeriodicTasks
from publish.load.run_cache import RunCache
from publish.load.store_writer import StoreWriter
from publish.runs.erasures import ErasureLog, enforce_erasures
from publish.runs.housekeeping import Housekeeping
from publish.runs.lifecycle import RunLifecycle
from publish.runs.pointer import PointerStore
from publish.runs.promotion import Promoter
from publish.runs.registry import RunRegistry
from publish.store.capacity import NOTHING_DECLARED, DeclaredLimits, check_store
from publish.store.payloads import make_ready
from publish.store.redis_store import RedisStore
from publish.wire.keys import Layout, ProductKeys, hash_tags

_LOG = logging.getLogger(__name__)

_POLL_SECONDS = 0.25
_POLL_RECORDS = 5_000
_TOPIC_CHECK_SECONDS = 5.0
_BACK_OFF = EqualJitterBackoff(cap=10, base=0.2)  # seconds; its random half keeps loaders from coming back all at once
_MOST_DOUBLINGS = 10


class _Stopping(Exception):
    """Interrupts a long verification when the service is asked to stop."""


class Loader:
    """Loads one product's topic into Redis, and promotes complete runs."""

    def __init__(
        self,
        kafka: KafkaConnection,
        client: StoreClient,
        product: str,
        *,
        declared: DeclaredLimits = NOTHING_DECLARED,
        metrics: LoaderMetrics | None = None,
    ) -> None:
        """Raises StoreRefused for a Redis that could lose lists, and StoreUnreachable."""
        check_store(client, declared)
        self.metrics = metrics if metrics is not None else LoaderMetrics(product)
        self._kafka = kafka
        registry = RunRegistry(client, product)
        self._keys = registry.keys
        pointers = PointerStore(client, product, log=KafkaPointerLog(kafka), who=service("loader"))
        store = RedisStore(client)
        housekeeping = Housekeeping(registry, pointers, store)
        lifecycle = RunLifecycle(store, Promoter(registry, pointers), housekeeping, declared=declared)
        run_cache = RunCache(registry)
        self._sender = ConfirmedSender(kafka, f"discovery-dead-letters-{product}")
        letters = DeadLetterQueue(self._sender, self._keys.dead_letter_topic)
        self._writer = StoreWriter(store)
        self._tools = Tools(store, self._writer, run_cache, lifecycle, letters, self.metrics, self._pause)
        self._tasks = PeriodicTasks(run_cache, lifecycle, pointers, housekeeping)
        self._consumer = Consumer(_consumer_settings(kafka, product))
        self._assigned: frozenset[int] = frozenset()
        self._partitions: dict[int, PartitionLoader] = {}
        self._erasures = ErasureLog(kafka, product)
        self._inspector = TopicInspector(kafka, self._keys.topic)
        self._topic: TopicIdentity | None = None
        self._failures, self._retry_at = 0, time.monotonic()
        self._next_look = time.monotonic()
        self._stop = threading.Event()

    def run(self, stop: threading.Event) -> None:
        """Loads until `stop` is set, then leaves the consumer group at once."""
        self._stop = stop
        try:
            make_ready()
            self._join()
            _LOG.info("loading %s", self._keys.topic)
            while not stop.is_set():
                self._turn()
        except _Stopping:
            _LOG.info("stopped while verifying; the next loader verifies again")
        finally:
            self._consumer.close()
            self._writer.close()
            self._sender.close()
            _LOG.info("loader of %s stopped", self._keys.topic)

    def _turn(self) -> None:
        """Polls once and processes what arrived."""
        try:
            may_try = time.monotonic() >= self._retry_at
            if may_try:
                self._tasks.keep_pointer()  # first: if Redis has lost everything, everything below fails
            if may_try and self._assigned - self._partitions.keys():
                self._start_partitions()
            self._load(self._consumer.consume(_POLL_RECORDS, timeout=_POLL_SECONDS))
            if may_try:
                self._tasks.run_due(self._consumer, self._partitions, self.metrics)
                self._check_topic()
                self._check_assignment()
                self._succeeded()
        except PositionMoved as moved:
            _LOG.info("%s: looking again", moved)
            self._drop_state()
        except PublishError as fault:  # of Redis, Kafka, or a changed state; never of a record
            self._wait_out(str(fault))
        except KafkaException as fault:
            self._wait_out(str(broker_unreachable(self._kafka, fault)))

    def _join(self) -> None:
        """Joins the group; if this loader is in it, the group assigns its partitions anew."""
        self._consumer.subscribe([self._keys.topic], on_assign=self._take, on_revoke=self._drop, on_lost=self._drop)
        self._next_look = time.monotonic() + _TOPIC_CHECK_SECONDS

    def _take(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Takes the partitions that the group assigned; nothing is read before Redis' positions are known."""
        self._assigned = frozenset(partition.partition for partition in partitions)
        self._partitions = {}
        consumer.assign([])
        _LOG.info("partitions %s", sorted(self._assigned))

    def _drop(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._assigned -= {partition.partition for partition in partitions}
        self._partitions = {}

    def _start_partitions(self) -> None:
        """Starts each assigned partition from Redis' position, or from its beginning."""
        self._writer.wait()
        self._tools.lifecycle.check_store()
        topic = self._inspector.identify()
        layout = Layout(self._keys.product, topic.partitions, 1, hash_tags(self._keys.product, topic.partitions))
        self._tools.run_cache.refresh()
        enforce_erasures(self._tools.store, self._tools.run_cache.runs, layout, self._assigned, self._erasures.read())
        loaders = {
            partition: PartitionLoader(
                self._tools, layout, partition, topic.id, self._tools.store.position(layout, partition)
            )
            for partition in self._assigned
        }
        self._consumer.assign(
            [
                TopicPartition(self._keys.topic, partition, OFFSET_BEGINNING if start is None else start)
                for partition, loader in loaders.items()
                for start in [loader.next_offset]
            ]
        )
        self._topic, self._partitions = topic, loaders

    def _load(self, messages: list[Message]) -> None:
        for error in filter(None, map(Message.error, messages)):
            raise KafkaException(error)
        by_partition: dict[int | None, list[Message]] = {}
        for partition, block in groupby(messages, key=Message.partition):
            by_partition.setdefault(partition, []).extend(block)
        for partition, some in by_partition.items():
            if partition is not None and (loader := self._partitions.get(partition)):
                loader.load(some)
        for partition, loader in self._partitions.items():
            if partition not in by_partition:
                loader.drain()

    def _check_topic(self) -> None:
        """Restarts from the beginning if the topic was recreated, which shows in its id."""
        if self._topic is None or time.monotonic() - self._topic.seen_at < _TOPIC_CHECK_SECONDS:
            return
        now = self._inspector.identify()
        if now.id != self._topic.id:
            _LOG.warning("topic %s was recreated; loading it from its beginning", self._keys.topic)
            self._drop_state()
        self._topic = now

    def _check_assignment(self) -> None:
        """Joins the group again if this loader has no partitions, and there are some that nobody has.

        If the topic is missing while the group's leader assigns its partitions, nobody gets any; when it is back before
        librdkafka looks again, librdkafka sees no change, and would not join again by itself.
        """
        if self._assigned or time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + _TOPIC_CHECK_SECONDS
        if orphans := self._inspector.orphans(self._keys.loader_group):
            _LOG.warning("no loader has partitions %s of %s; joining again", sorted(orphans), self._keys.topic)
            self._join()

    def _drop_state(self) -> None:
        """Drops the state in memory; the group still has this loader as the owner of its partitions."""
        self._partitions = {}
        self._consumer.assign([])

    def _wait_out(self, fault: str) -> None:
        seconds = seconds_to_wait(self._failures)
        self._failures, self._retry_at = self._failures + 1, time.monotonic() + seconds
        self.metrics.faults.inc()
        self.metrics.set_healthy(healthy=False)
        self._tasks.forget()
        self._drop_state()
        _LOG.warning("%s; trying again in %.1f s", fault, seconds)

    def _succeeded(self) -> None:
        self._failures = 0
        self.metrics.set_healthy(healthy=True)

    def _pause(self) -> None:
        if self._stop.is_set():
            raise _Stopping


def seconds_to_wait(failures: int) -> float:
    """Returns the seconds to wait after so many failures in a row: 0.2 doubled up to 10, less a random part."""
    return _BACK_OFF.compute(min(failures, _MOST_DOUBLINGS))  # 2.0**1024 would overflow


def stop_on_signals() -> threading.Event:
    """Returns an event that SIGTERM and SIGINT set from now on; call it in the main thread."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _consumer_settings(kafka: KafkaConnection, product: str) -> dict[str, object]:
    """Returns settings for fast fetching and quick detection of a dead loader, with offsets kept by us."""
    return {
        **kafka_settings(kafka, f"discovery-loader-{product}"),
        "group.id": ProductKeys(product).loader_group,
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "isolation.level": "read_committed",
        "allow.auto.create.topics": False,
        "topic.metadata.refresh.interval.ms": 5_000,
        "session.timeout.ms": 10_000,
        "heartbeat.interval.ms": 2_000,
        "queued.min.messages": 1_000_000,
        "queued.max.messages.kbytes": 262_144,
        "fetch.message.max.bytes": 4_194_304,
        "fetch.max.bytes": 67_108_864,
    }
