"""Compares how many users share a Redis hash: what a look-up costs Redis, how long it takes, memory, and loading.

    python -m benchmarks.publish.buckets [--users 200000] [--rounds 5] [--sizes 100 64 32 16] [--tables 50 100]
                                         [--redis-server PROGRAM] [--json]

Starts a broker, a Redis and loaders of its own. Every size is pushed and read once in every round, forwards and
backwards in turn; figures are medians of the rounds. The first size also runs with hashes as hash tables, which Redis
makes of larger ones than `hash-max-listpack-entries`. Goals are those of `benchmarks.publish`.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import redis

from benchmarks import lookup
from benchmarks.arguments import positive
from benchmarks.publish.push import Push, Servers, measure_slices, median, used_memory
from benchmarks.publish.world import TABLES, GeneratedSnapshot, ListShape, make_snapshot, mean_value_bytes
from conf.contract import UserId
from conf.errors import DiscoveryError
from conf.load import load_settings
from conf.settings import PublishSettings
from deploy.chain import REPO
from deploy.servers.kafka_broker import KafkaBroker
from deploy.servers.redis_server import RedisServer
from publish.wire.announcement import Announcement, Slice

_CONFIG = REPO / "conf/prod_discovery.yml"
_READS, _PIPELINE, _LOOKUPS = 200_000, 500, 5_000
_ENTRIES = "hash-max-ziplist-entries"  # the name that every version knows
Figures = dict[str, float]

COLUMNS = (
    ("hget_us", "HGET µs", 2),
    ("cpu_us", "Redis CPU µs", 2),
    ("reader_p99_us", "p99 µs", 0),
    ("p99_ratio", "÷ GET", 2),
    ("user_bytes", "B a user", 1),
    ("memory_ratio", "÷ value", 3),
    ("load_per_second", "loaded/s", 0),
    ("loader_cpu_us", "loader µs", 2),
    ("load_redis_cpu_us", "Redis µs", 2),
    ("verify_s", "verify s", 2),
)


@dataclass(frozen=True)
class Arm:
    """One way to keep lists: users per hash, and the most that Redis keeps in the compact form."""

    users_per_bucket: int
    compact_entries: int = 512

    @property
    def name(self) -> str:
        """The users per bucket, and the form of the hashes unless it is the compact one."""
        return f"{self.users_per_bucket}{'' if self.compact_entries > 1 else ' hashtable'}"


@dataclass(frozen=True)
class Input:
    """A snapshot in the order of one number of users per bucket."""

    snapshot: GeneratedSnapshot
    slices: tuple[Slice, ...]

    @classmethod
    def of(cls, table: ListShape, users: int, settings: PublishSettings) -> "Input":
        """Draws the lists; their contents are the same for every number of users per bucket."""
        snapshot = make_snapshot(table, users, settings)
        return cls(snapshot, measure_slices(snapshot)[0])


def measure_arm(servers: Servers, given: Input, arm: Arm, product: str) -> Figures:
    """Pushes the lists, reads them back and looks users up. Returns the figures of this turn."""
    users, value_bytes = given.snapshot.users, mean_value_bytes(given.snapshot, given.slices)
    push = Push(servers, given.snapshot, product, given.slices)
    try:
        push.client.config_set(_ENTRIES, arm.compact_entries)
        empty, run = used_memory(push.client), push.announce()
        push.send(run)
        load = push.load(run)
        user_bytes = (used_memory(push.client) - empty) / users
        return {
            "compact": float(encoding_of(push.client, run) != "hashtable"),
            "user_bytes": user_bytes,
            "memory_ratio": user_bytes / value_bytes,
            "load_per_second": users / load.seconds,
            "loader_cpu_us": load.loader_cpu / users * 1e6,
            "load_redis_cpu_us": load.redis_cpu / users * 1e6,
            "verify_s": push.verify(run),
            **measure_reads(push.client, run, users_of(given.snapshot)),
            **lookup.measure(push.client, product, _LOOKUPS, 1),
        }
    finally:
        push.close()


def measure_reads(client: redis.Redis, run: Announcement, users: Sequence[UserId]) -> Figures:
    """Reads these users' lists in pipelines. Returns µs within HGET, and µs of CPU of Redis in all, per list."""
    layout = run.layout
    places = [(layout.bucket(run.run, *layout.place_of(user)), str(user)) for user in users]
    client.config_resetstat()
    before = _cpu_seconds(client)
    for start in range(0, len(places), _PIPELINE):
        with client.pipeline(transaction=False) as pipe:
            for place in places[start : start + _PIPELINE]:
                pipe.hget(*place)
            pipe.execute()
    cpu, calls = _cpu_seconds(client) - before, client.info("commandstats")["cmdstat_hget"]
    return {"hget_us": float(calls["usec"] / calls["calls"]), "cpu_us": cpu / len(places) * 1e6}


def users_of(snapshot: GeneratedSnapshot) -> list[UserId]:
    """Returns 200,000 users, drawn with replacement; the same ones in whatever order the snapshot is."""
    users = np.sort(np.concatenate([batch.column("user_id").to_numpy() for batch in snapshot.batches]))
    chosen: list[UserId] = np.random.default_rng(1).choice(users, _READS).tolist()
    return chosen


def encoding_of(client: redis.Redis, run: Announcement) -> str:
    """Returns the form in which Redis keeps the fullest of some hashes of the run."""
    keys = list(run.layout.bucket_keys(run.run, 0))[:16]
    fullest = max(keys, key=client.hlen)
    return bytes(client.object("encoding", fullest)).decode()


def _cpu_seconds(client: redis.Redis) -> float:
    used = client.info("cpu")
    return float(used["used_cpu_user_main_thread"] + used["used_cpu_sys_main_thread"])


def measure(
    table: ListShape, arms: Sequence[Arm], users: int, rounds: int, program: Path | None = None
) -> dict[str, Any]:
    """Measures every arm in every round; returns the medians of each arm, and all figures."""
    settings, inputs = load_settings(_CONFIG).publish, dict[int, Input]()
    for size in {arm.users_per_bucket for arm in arms}:
        inputs[size] = Input.of(table, users, settings.model_copy(update={"users_per_bucket": size}))
    found: dict[str, list[Figures]] = {arm.name: [] for arm in arms}
    with tempfile.TemporaryDirectory(prefix="discovery-buckets-") as folder:
        home = Path(folder)
        broker = KafkaBroker(home / "kafka", fast_start=False, heap_mb=1_024)
        store = RedisServer(home / "redis", maxmemory="14gb", program=program)
        with broker, store:
            servers = Servers(home, broker, store, _CONFIG)
            with servers.client() as client:
                about = client.info("server")["redis_version"], client.info("memory")["mem_allocator"]
            for number in range(rounds):
                for place, arm in enumerate(arms if number % 2 == 0 else arms[::-1]):
                    print(f"{table.name}, round {number + 1} of {rounds}, {arm.name} …", file=sys.stderr)
                    product = f"buckets{number}_{place}"
                    found[arm.name].append(measure_arm(servers, inputs[arm.users_per_bucket], arm, product))
    medians = {name: {key: median([each[key] for each in turns]) for key in turns[0]} for name, turns in found.items()}
    about_lists = {"table": table.name, "users": users, "rounds": rounds, "redis": " ".join(about)}
    return about_lists | {"arms": medians, "found": found}


def as_text(result: dict[str, Any]) -> str:
    """Returns the medians as a table, one line per arm."""
    head = f"{result['table']}: {result['users']:,} users, {result['rounds']} rounds, Redis {result['redis']}"
    lines = [head, f"  {'users per bucket':<18}" + "".join(f"{title:>14}" for _, title, _ in COLUMNS)]
    for name, figures in result["arms"].items():
        cells = "".join(f"{figures[key]:>14,.{digits}f}" for key, _, digits in COLUMNS)
        lines.append(f"  {name:<18}{cells}")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line. Returns the exit code: 0, or 1 when something could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.publish.buckets", description="Users per Redis hash.")
    parser.add_argument("--users", type=positive, default=200_000)
    parser.add_argument("--rounds", type=positive, default=5)
    parser.add_argument("--sizes", type=positive, nargs="+", default=[100, 64, 32, 16], help="users per bucket")
    lists = [table.size for table in TABLES]
    parser.add_argument("--tables", type=int, nargs="+", choices=lists, default=lists, help="ids per list")
    parser.add_argument("--redis-server", type=Path, help="the server's program; default: that of the other commands")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    arguments = parser.parse_args(argv)
    arms = [*map(Arm, arguments.sizes), Arm(arguments.sizes[0], compact_entries=1)]
    results = []
    try:
        for table in (table for table in TABLES if table.size in arguments.tables):
            results.append(measure(table, arms, arguments.users, arguments.rounds, arguments.redis_server))
            print(as_text(results[-1]))
    except DiscoveryError as error:
        print(f"buckets: {error}", file=sys.stderr)
        return 1
    if arguments.json:
        print(json.dumps({"cores": os.cpu_count(), "tables": results}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
