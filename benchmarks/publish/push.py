"""Our side of the publish benchmark: pushes of one snapshot, timed from outside."""

import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import numpy as np
import psutil
import redis
from confluent_kafka.admin import AdminClient

from benchmarks.lookup import microseconds
from benchmarks.publish.world import GeneratedSnapshot, announcement_of
from benchmarks.publish.yardsticks import YardstickFailed
from conf.connections import KafkaConnection
from conf.ids import UserId
from deploy.chain import ProductFiles, running_loader
from deploy.environment import shell_variables
from deploy.servers.kafka_broker import KafkaBroker
from deploy.servers.redis_server import RedisServer
from publish.connect.clients import group_size
from publish.connect.topics import ensure_topics
from publish.operate.control import Control
from publish.read.reader import Reader
from publish.runs.registry import RunRegistry
from publish.runs.run import RunState
from publish.runs.run_log import KafkaRunLog
from publish.send.producer import send_begin, send_end, send_partitions
from publish.send.sender import Sender
from publish.send.snapshot import measure_partition
from publish.wire.announcement import Announcement, Slice
from publish.wire.keys import Layout

_LOOK_SECONDS = 0.02
_DEADLINE_SECONDS = 900
_READS_PER_SECOND = 500


@dataclass(frozen=True)
class Servers:
    """The broker, the Redis and the folder of a benchmark, and the product's YAML file."""

    home: Path
    broker: KafkaBroker
    store: RedisServer
    config: Path

    @property
    def kafka(self) -> KafkaConnection:
        """Connection settings of the broker."""
        return KafkaConnection(servers=self.broker.bootstrap)

    def delete(self, topic: str) -> None:
        """Deletes a topic to free its disk space."""
        admin = AdminClient({"bootstrap.servers": self.broker.bootstrap})
        admin.delete_topics([topic])[topic].result()

    def client(self) -> redis.Redis:
        """Returns a client of the Redis server."""
        return redis.Redis.from_url(self.store.url, socket_timeout=60)


@dataclass
class Load:
    """Seconds of one load, from the first record that the loader took to the promotion, and CPU seconds."""

    seconds: float
    loader_cpu: float
    redis_cpu: float


@dataclass
class Push:
    """A product with topics of its own, for one round; Redis is emptied for it, unless others are read beside it."""

    servers: Servers
    snapshot: GeneratedSnapshot
    product: str
    slices: tuple[Slice, ...]
    beside_others: bool = False
    client: redis.Redis = field(init=False)
    layout: Layout = field(init=False)

    def __post_init__(self) -> None:
        self.client, self.layout = self.servers.client(), self.snapshot.layout(self.product)
        if not self.beside_others:
            self.client.flushall()
        ensure_topics(self.servers.kafka, self.layout, self.snapshot.settings)
        self._epochs = count(1)

    def announce(self) -> Announcement:
        """Announces the next run and returns its announcement."""
        registry = RunRegistry(self.client, self.product)
        epoch = registry.next_epoch()
        run = announcement_of(self.snapshot, self.layout, self.slices, f"run-{epoch}", epoch)
        registry.announce(run)
        return run

    def send(self, run: Announcement) -> float:
        """Sends the run as the job does, in this process. Returns the seconds until everything is acknowledged."""
        kafka, seconds = self.servers.kafka, self.snapshot.settings.delivery_timeout_seconds
        with Sender(run.layout.topic, kafka, delivery_timeout=seconds) as sender:
            KafkaRunLog(kafka).append(run)  # while the broker makes the producer known, as in the job
            start = time.perf_counter()
            send_begin(run, sender)
            batches = ((partition, [batch]) for partition, batch in enumerate(self.snapshot.batches))
            send_end(run, send_partitions(batches, run, sender), sender)
        return time.perf_counter() - start

    @contextmanager
    def loader(self) -> Iterator[int]:
        """Runs a loader of the product during the block and yields its pid."""
        overlay = self.servers.home / f"{self.product}.yml"
        overlay.write_text(f"product: {self.product}\n")
        addresses = {**self.servers.broker.environment, **self.servers.store.environment}
        variables = {**os.environ, **shell_variables(self.servers.home, addresses, self.servers.config)}
        product = ProductFiles(self.servers.config, (overlay,))
        with running_loader(product, variables, self.servers.home / f"{self.product}.log") as pid:
            yield pid

    def load(self, run: Announcement) -> Load:
        """Starts a loader and waits until it has promoted a run that is already in the topic."""
        with self.loader() as pid:
            self.wait_for(lambda: RunRegistry(self.client, self.product).get(run.run).state is not RunState.ANNOUNCED)
            start, loader, store = time.perf_counter(), cpu_seconds(pid), cpu_seconds(self.servers.store.pid)
            self.wait_until_served(run)
            return Load(
                time.perf_counter() - start, cpu_seconds(pid) - loader, cpu_seconds(self.servers.store.pid) - store
            )

    def verify(self, run: Announcement) -> float:
        """Reads the whole run back and checks its digests. Returns the seconds that it took."""
        start = time.perf_counter()
        if wrong := Control.connect(self.client, self.product).verify(run.run):
            raise YardstickFailed(f"{run.run} does not verify: {wrong}")
        return time.perf_counter() - start

    def wait_until_assigned(self) -> None:
        """Waits until a loader has joined the product's consumer group."""
        self.wait_for(lambda: group_size(self.servers.kafka, self.layout.loader_group) > 0)

    def wait_until_served(self, run: Announcement) -> None:
        """Waits until the pointer names the run."""
        name = run.run.encode()
        self.wait_for(lambda: name in (self.client.get(self.layout.pointer) or b""))

    def wait_for(self, truth: Callable[[], bool]) -> None:
        """Waits until `truth` returns true. Raises YardstickFailed after 900 s."""
        deadline = time.monotonic() + _DEADLINE_SECONDS
        while not truth():
            if time.monotonic() > deadline:
                states = {run.name: run.state for run in RunRegistry(self.client, self.product).list_runs()}
                raise YardstickFailed(f"{self.product}: not served in {_DEADLINE_SECONDS} s: {states}")
            time.sleep(_LOOK_SECONDS)

    def close(self) -> None:
        """Deletes the product's topic."""
        self.servers.delete(self.layout.topic)
        self.client.close()


class PacedReader:
    """Looks up 500 lists a second during the block, on a thread that runs on these cores."""

    def __init__(self, push: Push, cores: Set[int]) -> None:
        self._push, self._cores = push, cores
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read)
        self._times: list[float] = []
        users = push.snapshot.batches[0].column("user_id").to_numpy()
        self._users: list[UserId] = np.random.default_rng(1).choice(users, 10_000).tolist()

    @property
    def p99(self) -> float:
        """The 99th percentile of the look-ups so far, in µs."""
        return float(np.percentile(self._times, 99))

    def __enter__(self) -> "PacedReader":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _read(self) -> None:
        os.sched_setaffinity(0, self._cores)  # of this thread
        with self._push.servers.client() as client:
            reader = Reader(client, self._push.product)
            while not self._stop.is_set():
                for user in self._users:
                    self._times.extend(microseconds(reader.lookup, [user]).tolist())
                    if self._stop.wait(1 / _READS_PER_SECOND):
                        return


def measure_slices(snapshot: GeneratedSnapshot) -> tuple[tuple[Slice, ...], float]:
    """Returns the slice of each partition, and the seconds of this pass over the lists before the announcement."""
    layout, start = snapshot.layout("benchmark"), time.perf_counter()
    slices = tuple(measure_partition([batch], place, layout, "int64") for place, batch in enumerate(snapshot.batches))
    return slices, time.perf_counter() - start


def cpu_seconds(pid: int) -> float:
    """Returns the CPU seconds that a process has used."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def used_memory(client: redis.Redis) -> int:
    """Returns the bytes of data in Redis: the least of five readings, since buffers take a while to shrink."""
    looks = []
    for _ in range(5):
        looks.append(int(client.info("memory")["used_memory"]))
        time.sleep(0.2)
    return min(looks)


def median(values: list[float]) -> float:
    """Returns the median, as float."""
    return float(statistics.median(values))
