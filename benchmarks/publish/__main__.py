"""Compares a push with the best that other tools reach with the same sizes on the same servers.

    python -m benchmarks.publish [--users 1000000] [--rounds 5] [--tables 50 100] [--json]

Starts a broker (with the JVM's best compiler), a Redis and loaders of its own. They share the cores, except where reads
are timed while a push loads: there Redis and the reader have the last core, both idle and loading (docs/redis.md).
`redis-benchmark` is in Debian's redis-tools; Kafka's ProducerPerformance is downloaded once and checked against
`kafka-tools.lock`. A ratio is the median of the rounds' ratios; other figures are medians of the rounds.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import lookup
from benchmarks.publish.cores import apart
from benchmarks.publish.push import PacedReader, Push, Servers, cpu_seconds, measure_slices, median, used_memory
from benchmarks.publish.tables import add_table_options, measure_tables
from benchmarks.publish.world import GeneratedSnapshot, ListShape, make_snapshot, mean_value_bytes
from benchmarks.publish.yardsticks import producer_performance, redis_benchmark
from conf.load import load_settings
from conf.settings import PublishSettings
from deploy.chain import REPO
from deploy.servers.kafka_broker import KafkaBroker
from deploy.servers.redis_server import RedisServer
from publish.connect.topics import ensure_topics
from publish.wire.announcement import Slice
from publish.wire.keys import ProductKeys
from publish.wire.messages import ENVELOPE_BYTES

_CONFIG = REPO / "conf/prod_discovery.yml"
_IDLE_SECONDS = 4
_LOOKUPS = 5_000
Figures = dict[str, float]


@dataclass(frozen=True)
class GoalRow:
    """One goal: our figure, the yardstick's, and how they compare."""

    what: str
    unit: str
    ours: str
    yardstick: str
    ratio: str
    goal: float
    at_least: bool

    def result(self, rounds: Sequence[Figures]) -> dict[str, Any]:
        """Returns the row with medians over the rounds, or with nulls where a figure is missing."""
        ratios = [figures[self.ratio] for figures in rounds if self.ratio in figures]
        if not ratios:
            return asdict(self) | {"ours": None, "yardstick": None, "ratio": None, "met": None}
        ratio = median(ratios)
        both = {name: median([figures[getattr(self, name)] for figures in rounds]) for name in ("ours", "yardstick")}
        return (
            asdict(self) | both | {"ratio": ratio, "met": ratio >= self.goal if self.at_least else ratio <= self.goal}
        )


ROWS = (
    GoalRow("send", "lists/s", "send_per_second", "tool_per_second", "send_ratio", 1.0, at_least=True),
    GoalRow("load", "lists/s", "load_per_second", "hset_per_second", "load_ratio", 0.5, at_least=True),
    GoalRow("whole push", "s", "push_s", "slower_s", "push_ratio", 1.25, at_least=False),
    GoalRow("look-up p99", "µs", "reader_p99_us", "get_p99_us", "p99_ratio", 1.4, at_least=False),
    GoalRow("read p99, loading", "µs", "loading_p99_us", "idle_p99_us", "loading_ratio", 3, at_least=False),
    GoalRow(
        "load while read", "lists/s", "read_load_per_second", "load_per_second", "read_load_ratio", 0.8, at_least=True
    ),
    GoalRow("memory per user", "B", "user_bytes", "value_bytes", "memory_ratio", 1.25, at_least=False),
)
TIMES = (
    ("measure_s", "measured before the announcement"),
    ("send_s", "sent alone"),
    ("send_cpu_s", "  CPU of the sender"),
    ("send_broker_cpu_s", "  CPU of the broker meanwhile"),
    ("tool_wall_s", "ProducerPerformance with the start of its JVM"),
    ("tool_cpu_s", "  CPU of the tool"),
    ("tool_broker_cpu_s", "  CPU of the broker meanwhile"),
    ("load_s", "loaded alone, verified and promoted"),
    ("load_loader_cpu_s", "  CPU of the loader"),
    ("load_redis_cpu_s", "  CPU of Redis"),
    ("verify_s", "  of which reading back, measured again by itself"),
    ("push_sent_s", "whole push: sent and acknowledged after"),
    ("push_s", "whole push: served after"),
)


def run_round(servers: Servers, snapshot: GeneratedSnapshot, slices: tuple[Slice, ...], number: int) -> Figures:
    """Measures every figure once; the yardsticks run first in every other round."""
    first = number % 2 == 0
    figures: Figures = {} if first else _yardsticks(servers, snapshot, slices, number)
    push = Push(servers, snapshot, f"bench{number}", slices)
    try:
        figures |= _send_and_load(push)
        figures |= lookup.measure(push.client, push.product, _LOOKUPS, 1)
        figures |= _whole_push(push)
        figures |= _read_while_loading(push)
    finally:
        push.close()
    if first:
        figures |= _yardsticks(servers, snapshot, slices, number)
    figures["value_bytes"] = mean_value_bytes(snapshot, slices)
    figures["slower_s"] = max(figures["send_s"], figures["load_s"])
    return figures | {
        name: figures[ours] / figures[yardstick]
        for name, ours, yardstick in ((row.ratio, row.ours, row.yardstick) for row in ROWS)
        if yardstick in figures
    }


def _send_and_load(push: Push) -> Figures:
    users, empty = push.snapshot.users, used_memory(push.client)
    run, cpu, broker = push.announce(), time.process_time(), cpu_seconds(push.servers.broker.pid)
    sent = push.send(run)
    figures = {
        "send_s": sent,
        "send_per_second": users / sent,
        "send_cpu_s": time.process_time() - cpu,
        "send_broker_cpu_s": cpu_seconds(push.servers.broker.pid) - broker,
    }
    load = push.load(run)
    return figures | {
        "load_s": load.seconds,
        "load_per_second": users / load.seconds,
        "load_loader_cpu_s": load.loader_cpu,
        "load_redis_cpu_s": load.redis_cpu,
        "user_bytes": (used_memory(push.client) - empty) / users,
        "verify_s": push.verify(run),
    }


def _whole_push(push: Push) -> Figures:
    with push.loader():
        push.wait_until_assigned()
        run = push.announce()
        sent, after = push.send(run), time.perf_counter()
        push.wait_until_served(run)
        return {"push_s": sent + time.perf_counter() - after, "push_sent_s": sent}


def _read_while_loading(push: Push) -> Figures:
    run = push.announce()
    push.send(run)
    with apart(push.servers.store.pid, push.servers.broker.pid) as cores:
        with PacedReader(push, cores) as reader:
            time.sleep(_IDLE_SECONDS)
            idle = reader.p99
        with PacedReader(push, cores) as reader:
            load = push.load(run)
            return {
                "idle_p99_us": idle,
                "loading_p99_us": reader.p99,
                "read_load_per_second": push.snapshot.users / load.seconds,
            }


def _yardsticks(servers: Servers, snapshot: GeneratedSnapshot, slices: tuple[Slice, ...], number: int) -> Figures:
    value_bytes, keys = mean_value_bytes(snapshot, slices), ProductKeys(f"yardstick{number}")
    record_bytes = round(sum(piece.bytes for piece in slices) / snapshot.users) + ENVELOPE_BYTES
    ensure_topics(servers.kafka, keys, snapshot.settings)
    broker = cpu_seconds(servers.broker.pid)
    tool = producer_performance(servers.broker.bootstrap, keys.topic, snapshot.users, record_bytes)
    broker = cpu_seconds(servers.broker.pid) - broker
    servers.delete(keys.topic)
    figures = {
        "tool_per_second": tool.per_second,
        "tool_wall_s": tool.wall_seconds,
        "tool_cpu_s": tool.cpu_seconds,
        "tool_broker_cpu_s": broker,
    }
    with servers.client() as client:
        client.flushall()
        layout = snapshot.layout("yardstick")
        hashes = layout.partitions * layout.buckets
        hset = redis_benchmark(servers.store.ports[0], snapshot.users, hashes, round(value_bytes))
        client.flushall()
    return figures if hset is None else figures | {"hset_per_second": hset}


def measure(table: ListShape, users: int, rounds: int, settings: PublishSettings) -> dict[str, Any]:
    """Measures all rows of one table, and where the time goes."""
    snapshot = make_snapshot(table, users, settings)
    slices, seconds = measure_slices(snapshot)
    found: list[Figures] = []
    with tempfile.TemporaryDirectory(prefix="discovery-publish-") as folder:
        home = Path(folder)
        broker = KafkaBroker(home / "kafka", fast_start=False, heap_mb=2_048)
        store = RedisServer(home / "redis", maxmemory="14gb")
        with broker, store:
            servers = Servers(home, broker, store, _CONFIG)
            for number in range(rounds):
                print(f"{table.name}, round {number + 1} of {rounds} …", file=sys.stderr)
                found.append(run_round(servers, snapshot, slices, number) | {"measure_s": seconds})
    rows = [row.result(found) for row in ROWS]
    times = {name: median([figures[name] for figures in found]) for name, _ in TIMES}
    return {"table": table.name, "users": users, "rounds": rounds, "rows": rows, "times": times, "found": found}


def as_text(result: dict[str, Any]) -> str:
    """Returns the result as text."""
    lines = [f"{result['table']}: {result['users']:,} users, {result['rounds']} rounds"]
    lines.append(f"  {'':<20}{'ours':>12}{'yardstick':>12}  {'':<8}{'ratio':>7}  goal")
    for row in result["rows"]:
        goal = f"{'≥' if row['at_least'] else '≤'} {row['goal']:g}"
        if row["ratio"] is None:
            lines.append(f"  {row['what']:<20}redis-benchmark is missing: install Debian's redis-tools; goal {goal}")
            continue
        met = "" if row["met"] else "   missed"
        lines.append(
            f"  {row['what']:<20}{row['ours']:>12,.0f}{row['yardstick']:>12,.0f}  {row['unit']:<8}{row['ratio']:>7.2f}"
            f"  {goal}{met}"
        )
    lines.append("  where the time goes, seconds:")
    lines += [f"  {result['times'][name]:>8.2f}  {words}" for name, words in TIMES]
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line. Returns the exit code: 0, or 1 when something could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.publish", description="A push against its yardsticks.")
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    add_table_options(parser)
    arguments = parser.parse_args(argv)
    settings = load_settings(_CONFIG).publish

    def measured(table: ListShape) -> dict[str, Any]:
        return measure(table, arguments.users, arguments.rounds, settings)

    return measure_tables("publish", arguments, measured, as_text)


if __name__ == "__main__":
    sys.exit(main())
