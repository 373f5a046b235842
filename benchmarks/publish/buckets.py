"""Compares how many users share a Redis hash: what a look-up costs Redis, how long it takes, memory, and loading.

    python -m benchmarks.publish.buckets [--users 200000] [--rounds 5] [--sizes 100 64 32 16] [--tables 50 100]
                                         [--redis-server PROGRAM] [--json]

Starts a broker, a Redis and loaders of its own. Every size is pushed into an empty Redis once in every round, forwards
and backwards in turn. Then all are pushed into the same Redis, and read in turns. Figures are medians of the rounds.
The first size also runs with hashes as hash tables, which Redis makes of larger ones than `hash-max-listpack-entries`.
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.arguments import positive
from benchmarks.publish.arms import Arm, Input, pushed
from benchmarks.publish.push import Push, Servers, median, used_memory
from benchmarks.publish.reads import Figures, Turns, read_in_turns, users_of
from benchmarks.publish.tables import add_table_options, measure_tables
from benchmarks.publish.world import ListShape, mean_value_bytes
from conf.load import load_settings
from deploy.chain import REPO
from deploy.servers.kafka_broker import KafkaBroker
from deploy.servers.redis_server import RedisServer

_CONFIG = REPO / "conf/prod_discovery.yml"

COLUMNS = (
    ("hget_us", "HGET µs", 2),
    ("cpu_us", "Redis CPU µs", 2),
    ("p50_us", "p50 µs", 0),
    ("p50_ratio", "÷ GET", 2),
    ("p99_us", "p99 µs", 0),
    ("p99_ratio", "÷ GET", 2),
    ("user_bytes", "B a user", 1),
    ("memory_ratio", "÷ value", 3),
    ("load_per_second", "loaded/s", 0),
    ("loader_cpu_us", "loader µs", 2),
    ("load_redis_cpu_us", "Redis µs", 2),
    ("verify_s", "verify s", 2),
)


def measure_load(servers: Servers, given: Input, arm: Arm, product: str) -> Figures:
    """Pushes the lists into an empty Redis. Returns memory, and the speed and CPU of loading and reading back."""
    users, push = given.snapshot.users, Push(servers, given.snapshot, product, given.slices)
    try:
        empty = used_memory(push.client)
        run, load = pushed(push, arm)
        user_bytes = (used_memory(push.client) - empty) / users
        return {
            "user_bytes": user_bytes,
            "memory_ratio": user_bytes / mean_value_bytes(given.snapshot, given.slices),
            "load_per_second": users / load.seconds,
            "loader_cpu_us": load.loader_cpu / users * 1e6,
            "load_redis_cpu_us": load.redis_cpu / users * 1e6,
            "verify_s": push.verify(run),
        }
    finally:
        push.close()


def measure_look_ups(servers: Servers, inputs: Mapping[int, Input], arms: Sequence[Arm]) -> Turns:
    """Pushes every arm beside the others, and reads them in turns. Returns name of the arm → figures by round."""
    with ExitStack() as stack, servers.client() as client:
        client.flushall()
        runs = {}
        for place, arm in enumerate(arms):
            given = inputs[arm.users_per_bucket]
            push = Push(servers, given.snapshot, f"reads{place}", given.slices, beside_others=True)
            stack.callback(push.close)
            runs[arm.name], _ = pushed(push, arm)
        return read_in_turns(client, runs, users_of(given.snapshot))


def measure(
    table: ListShape, arms: Sequence[Arm], users: int, rounds: int, program: Path | None = None
) -> dict[str, Any]:
    """Measures every arm in every round; returns the medians of each arm, and all figures."""
    settings, inputs = load_settings(_CONFIG).publish, dict[int, Input]()
    for size in {arm.users_per_bucket for arm in arms}:
        inputs[size] = Input.of(table, users, settings.model_copy(update={"users_per_bucket": size}))
    loads: Turns = {arm.name: [] for arm in arms}
    with tempfile.TemporaryDirectory(prefix="discovery-buckets-") as folder:
        home = Path(folder)
        broker = KafkaBroker(home / "kafka", fast_start=False, heap_mb=1_024)
        store = RedisServer(home / "redis", maxmemory="14gb", program=program)
        with broker, store:
            servers = Servers(home, broker, store, _CONFIG)
            for number in range(rounds):
                for place, arm in enumerate(arms if number % 2 == 0 else arms[::-1]):
                    print(f"{table.name}, round {number + 1} of {rounds}, {arm.name} …", file=sys.stderr)
                    product = f"loads{number}x{place}"
                    loads[arm.name].append(measure_load(servers, inputs[arm.users_per_bucket], arm, product))
            reads = measure_look_ups(servers, inputs, arms)
            with servers.client() as client:
                about = client.info("server")["redis_version"], client.info("memory")["mem_allocator"]
    figures = {arm.name: _medians(loads[arm.name]) | _medians(reads[arm.name]) for arm in arms}
    said = {"table": table.name, "users": users, "rounds": rounds, "redis": " ".join(about)}
    return said | {"arms": figures, "loads": loads, "reads": reads}


def _medians(turns: Sequence[Figures]) -> Figures:
    return {name: median([figures[name] for figures in turns]) for name in turns[0]}


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
    parser.add_argument("--redis-server", type=Path, help="the server's program; default: that of the other commands")
    add_table_options(parser)
    arguments = parser.parse_args(argv)
    arms = [*map(Arm, arguments.sizes), Arm(arguments.sizes[0], compact_entries=1)]

    def measured(table: ListShape) -> dict[str, Any]:
        return measure(table, arms, arguments.users, arguments.rounds, arguments.redis_server)

    return measure_tables("buckets", arguments, measured, as_text)


if __name__ == "__main__":
    sys.exit(main())
