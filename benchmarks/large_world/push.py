"""Snapshot → Kafka → Redis: the job's own steps of a push, a partition at a time, beside a real loader."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import redis

from benchmarks.large_world.errors import LargeWorldError
from benchmarks.large_world.pieces import Record, read_json, write_json
from benchmarks.large_world.ranking import in_processes
from benchmarks.large_world.snapshot import ROWS
from benchmarks.large_world.world import LargeWorld
from benchmarks.peak_bytes import peak_bytes
from benchmarks.publish.push import cpu_seconds, used_memory
from conf.connections import KafkaConnection
from conf.share import EVERYBODY
from deploy.chain import REPO, ProductFiles, running_loader
from deploy.environment import shell_variables
from deploy.servers.local_stack import down, up
from publish.connect.clients import group_size
from publish.connect.topics import ensure_topics
from publish.operate.control import Control
from publish.operate.wait import RunEnding, wait
from publish.runs.registry import RunRegistry
from publish.runs.run_log import KafkaRunLog
from publish.send.producer import send_begin, send_end, send_partitions
from publish.send.sender import Sender
from publish.store.capacity import estimate_bytes
from publish.wire.announcement import Announcement, Slice, encode_fallback
from publish.wire.encoding import encode_list

CONFIG = REPO / "conf/prod_discovery.yml"
_RUN = "large-world"
_SPARE_MEMORY = 2.0
"""maxmemory of Redis ÷ the estimate of the run: the loader wants 1.25 ÷ 0.8."""
_PATIENCE_SECONDS = 180


@dataclass(frozen=True)
class Servers:
    """Addresses of a broker and a Redis, their pids, and the folders of their data."""

    bootstrap: str
    url: str
    pids: Mapping[str, int]
    folders: Mapping[str, Path]

    @property
    def kafka(self) -> KafkaConnection:
        """Connection settings of the broker."""
        return KafkaConnection(servers=self.bootstrap)

    @property
    def environment(self) -> dict[str, str]:
        """The variables that name both to the loader."""
        return {"KAFKA_BOOTSTRAP_SERVERS": self.bootstrap, "REDIS_URL": self.url}


@contextmanager
def servers_of(world: LargeWorld, run: Announcement) -> Iterator[Servers]:
    """Runs a broker and a Redis with room for the run; their data stay, and so do they when this process is killed."""
    home = world.home / "servers"
    entries = {entry.name: entry for entry in up(home, maxmemory=str(int(_SPARE_MEMORY * estimate_bytes(run)) + 2**29))}
    addresses = {name: value for entry in entries.values() for name, value in entry.environment.items()}
    try:
        with redis.Redis.from_url(addresses["REDIS_URL"]) as client:  # a rewrite would take the file's size once more
            client.config_set("auto-aof-rewrite-percentage", 0)
        yield Servers(
            addresses["KAFKA_BOOTSTRAP_SERVERS"],
            addresses["REDIS_URL"],
            {name: entry.pid for name, entry in entries.items()},
            {name: Path(entry.folder) for name, entry in entries.items()},
        )
    finally:
        down(home)


def announcement_of(world: LargeWorld) -> Announcement:
    """Returns the announcement of the snapshot, the same one on every call. Raises LargeWorldError before it is whole.

    It is that of a scheduled first run for everybody, which may serve at once.
    """
    if (known := read_json(world.home / "announcement.json")) is not None:
        return Announcement.model_validate(known)
    if world.snapshot.missing():
        raise LargeWorldError(f"the snapshot in {world.home} is not whole: write it first")
    settings, layout, now = world.settings, world.layout, datetime.now(UTC)
    popular = pq.ParquetFile(world.home / "source_factors.parquet").read_row_group(0, ["source_id"])["source_id"]
    fallback = popular.combine_chunks().slice(0, settings.lists.fallback_size)
    run = Announcement(
        run=_RUN,
        epoch=1,
        product=settings.product,
        as_of=now.date(),
        partitions=layout.partitions,
        buckets=layout.buckets,
        tags=layout.tags,
        ids="int64",
        list_size=settings.lists.n,
        salt=settings.rollout.salt,
        share_bp=EVERYBODY,
        slices=tuple(Slice.model_validate(record["slice"]) for record in world.snapshot.records()),
        fallback=encode_fallback(encode_list(fallback, None, "int64")),
        first=True,
        scheduled=True,
        gates_passed=True,
        max_change_of_users=settings.rollout.max_change_of_users,
        config_hash=_RUN,
        created_at=now,
        load_deadline_seconds=12 * settings.publish.load_deadline_seconds,
        stall_seconds=settings.publish.stall_seconds,
    )
    write_json(world.home / "announcement.json", run.model_dump(mode="json"))
    return run


def push(world: LargeWorld, run: Announcement, servers: Servers) -> Record:
    """Pushes the run until it serves; partitions that were acknowledged before are not sent again.

    Returns its figures. Raises LargeWorldError if it does not serve.
    """
    if (known := read_json(world.home / "push.json")) is not None:
        return known
    with redis.Redis.from_url(servers.url, socket_timeout=60) as client:
        before = _before(world, client)
        with _loader(world, servers) as loader:
            _send(world, run, servers, client)
            control = Control.connect(client, world.settings.product)
            waited = wait(run.run, control.lifecycle, control.pointers)
            if waited.ending is not RunEnding.SERVING:
                raise LargeWorldError(f"the run does not serve: {waited.reason}; see {world.home / 'loader.log'}")
            served, used = time.time(), used_memory(client) - before["used"]
            pids = {**servers.pids, "loader": loader}
            figures: Record = {"announced_to_served_s": served - before["announced"], "redis_bytes": used}
            figures |= {"peak_bytes": {name: peak_bytes(pid) for name, pid in pids.items()}}
            figures |= {"cpu_s": {name: cpu_seconds(pid) for name, pid in pids.items()}}
            figures |= {"disk_bytes": {name: _size(folder) for name, folder in servers.folders.items()}}
    write_json(world.home / "push.json", figures)
    return figures


def send_partition(world: LargeWorld, run: Announcement, bootstrap: str, partition: int) -> None:
    """Sends a partition of the snapshot as a task of the job does, and keeps what the broker acknowledged."""
    wall, cpu = time.perf_counter(), time.process_time()
    seconds = world.settings.publish.delivery_timeout_seconds
    with Sender(run.layout.topic, KafkaConnection(servers=bootstrap), delivery_timeout=seconds) as sender:
        (piece,) = send_partitions([(partition, _batches(world, partition))], run, sender)
    spent = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
    world.sent.finish(partition, {"slice": piece.model_dump(), "peak_bytes": peak_bytes(), **spent})


def _before(world: LargeWorld, client: redis.Redis) -> Record:
    """Returns the time of the first announcement and the memory of Redis then, kept for a push that goes on later."""
    path = world.home / "push-begun.json"
    if (known := read_json(path)) is not None:
        return known
    RunRegistry(client, world.settings.product).next_epoch()  # this Redis has issued the run's
    before: Record = {"used": used_memory(client), "announced": time.time()}
    write_json(path, before)
    return before


def _send(world: LargeWorld, run: Announcement, servers: Servers, client: redis.Redis) -> None:
    kafka, settings = servers.kafka, world.settings.publish
    with Sender(run.layout.topic, kafka, delivery_timeout=settings.delivery_timeout_seconds) as sender:
        if not (world.home / "begun").exists():
            RunRegistry(client, run.product).announce(run)
            KafkaRunLog(kafka).append(run)
            send_begin(run, sender)
            (world.home / "begun").touch()
        work = [(world, run, servers.bootstrap, partition) for partition in world.sent.missing()]
        in_processes(send_partition, work, 1)
        send_end(run, [Slice.model_validate(record["slice"]) for record in world.sent.records()], sender)


def _batches(world: LargeWorld, partition: int) -> Iterator[pa.RecordBatch]:
    return pq.ParquetFile(world.snapshot.content(partition)).iter_batches(ROWS)


@contextmanager
def _loader(world: LargeWorld, servers: Servers) -> Iterator[int]:
    """Runs a loader during the block, which begins when it waits for records; yields its pid."""
    ensure_topics(servers.kafka, world.layout, world.settings.publish)
    overlay = world.home / "overlay.yml"
    overlay.write_text(f"product: {world.settings.product}\npublish: {{partitions: {world.size.partitions}}}\n")
    variables = {**os.environ, **shell_variables(world.home, servers.environment, CONFIG)}
    with running_loader(ProductFiles(CONFIG, (overlay,)), variables, world.home / "loader.log") as pid:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not group_size(servers.kafka, world.layout.loader_group):
            if time.monotonic() > deadline:
                raise LargeWorldError(f"the loader has no partitions yet: see {world.home / 'loader.log'}")
            time.sleep(0.1)
        yield pid


def _size(folder: Path) -> int:
    return 512 * sum(file.stat().st_blocks for file in folder.rglob("*") if file.is_file())  # indices are sparse
